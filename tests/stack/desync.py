"""Requests whose end two readers may see in two places: the known ways to smuggle one request within another.

After each of them the test sends one well-formed request on the same connection. What must happen then:

=========  =============================================================================================
one        it is one request; it and the next one are answered, each as its own
two        it is two requests
last       it is one request, and the connection ends with its answer
refused    it is none: one error or a plain close, and nothing after it
leftover   it is one request, and bytes that it meant for its body are read as a next request, which is none
waits      it is not complete: the next request is a part of it, and nothing is computed
swallows   it is one request, and the next one is a part of its trailers
one|last   each of these is right; ``a/b``: a for gunicorn alone, b through nginx
=========  =============================================================================================

After the test corpora of gunicorn and nginx, Http11Probe and the published classes (CL.TE, TE.CL, TE.TE, TERM.EXT …).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.stack.raw import joined

ROW = b"[5.9,3.0,5.1,1.8]"
LENGTH = b"Content-Length: 17"
TE = b"Transfer-Encoding: chunked"
CHUNKS = b"11\r\n" + ROW + b"\r\n0\r\n\r\n"
# {id} becomes the case's own; nobody may ever answer this one.
INNER = b"GET /smuggled HTTP/1.1\r\nHost: tepal\r\nX-Request-ID: {id}-smuggled\r\n\r\n"
SECOND = b"GET /second HTTP/1.1\r\nHost: tepal\r\nX-Request-ID: {id}-second\r\n\r\n"
INNER_LENGTH = b"Content-Length: {length of inner}"
INNER_CHUNKS = b"{chunk of inner}0\r\n\r\n"


class Case(NamedTuple):
    """A request (or two) as bytes. heads: 1 where it is HEAD, whose answer has no body."""

    name: str
    request: bytes
    expected: str
    heads: int = 0

    def bytes_for(self, identity: str) -> bytes:
        inner = INNER.replace(b"{id}", identity.encode())
        filled = self.request.replace(b"{length of inner}", b"%d" % len(inner))
        filled = filled.replace(b"{chunk of inner}", b"%x\r\n%s\r\n" % (len(inner), inner))
        filled = re.sub(rb"\{inner in (\d+)\}", lambda found: inner.rjust(int(found[1])), filled)
        return filled.replace(b"{id}", identity.encode())

    def expected_of(self, way: str) -> list[str]:
        alone, _, door = self.expected.partition("/")
        return (door if door and way == "nginx" else alone).split("|")


def lines(*lines_: bytes, body: bytes = b"") -> bytes:
    return joined(b"\r\n".join(lines_), b"\r\n\r\n", body)


def post(*fields: bytes, body: bytes = ROW, first: bytes = b"POST /predict HTTP/1.1") -> bytes:
    return lines(first, b"Host: tepal", b"X-Request-ID: {id}-first", *fields, body=body)


def get(*fields: bytes, first: bytes = b"GET /livez HTTP/1.1", body: bytes = b"") -> bytes:
    return post(*fields, first=first, body=body)


def chunked(body: bytes) -> bytes:
    return post(TE, body=body)


def _short(value: bytes) -> str:
    return ascii(value) if len(value) <= 40 else f"{value[:30]!r}… ({len(value)} bytes)"


def _lengths() -> list[Case]:
    values: list[tuple[bytes, str]] = [
        (b"17", "one"),
        (b"\t17 ", "one/one|refused"),
        (b"0017", "one"),
        (b"", "refused"),
        (b" ", "refused"),
        (b"+17", "refused"),
        (b"-17", "refused"),
        (b"-0", "refused"),
        (b"0x11", "refused"),
        (b"1_7", "refused"),
        (b"1e1", "refused"),
        (b"17.0", "refused"),
        (b"1 7", "refused"),
        (b"17, 17", "refused"),
        (b"17,0", "refused"),
        (b"17;a", "refused"),
        (b'"17"', "refused"),
        (b"\x0b17", "refused"),
        (b"17\x00", "refused"),
        (b"17\r", "refused/one|refused"),
        (b"\xb2", "refused"),
        ("١٧".encode(), "refused"),
        (b"9" * 5000, "refused"),
        (b"18446744073709551633", "waits/waits|refused"),  # 2**64 + 17
        (b"9223372036854775807", "waits/waits|refused"),
        (b"1000", "waits"),
        (b"18", "leftover"),  # "G" is a part of the body, "ET" no method
        (b"16", "leftover"),  # "]" is none
    ]
    named: list[tuple[bytes, str]] = [
        (b"content-LENGTH: 17", "one"),
        (b"Content-Length:17", "one"),
        (b"Content-Length : 17", "refused"),
        (b"Content-Length\t: 17", "refused"),
        (b"Content-Length\x0b: 17", "refused"),
        (b"Content-Length\x00: 17", "refused"),
        (b"\x00Content-Length: 17", "refused"),
        (b"Content-Length;: 17", "refused/refused|leftover"),
        ("Content-Lengthß: 17".encode(), "refused/refused|leftover"),
        (b"Content_Length: 17", "leftover"),
        (b"Content-Length\r\n: 17", "refused"),
        (b"Content-Length:\r\n 17", "refused"),
        (b"Content-Length 17", "refused"),
    ]
    several = [
        (b"Content-Length: 17\r\nContent-Length: 17", "refused"),
        (b"Content-Length: 17\r\nContent-Length: 0", "refused"),
        (b"Content-Length: 0\r\nContent-Length: 17", "refused"),
        (b"Content-Length: 17\r\ncontent-length: 18", "refused"),
        (b"Content-Length: 17\r\nContent_Length: 0", "one"),
        (b"Content-Length: 17\r\nX-Content-Length: 0", "one"),
        (b"Content-Length: 17\r\nConnection: Content-Length", "one"),
    ]
    return [
        *(Case(f"length {_short(value)}", post(b"Content-Length: " + value), expected) for value, expected in values),
        *(Case(f"length as {field!r}", post(field), expected) for field, expected in (*named, *several)),
    ]


def _encodings() -> list[Case]:
    values: list[tuple[bytes, str]] = [
        (b"chunked", "one"),
        (b"CHUNKED", "one"),
        (b"\t chunked \t", "one/one|refused"),
        (b"identity, chunked", "one|last|refused"),
        (b"gzip, chunked", "one|last|refused"),
        (b",chunked", "refused"),
        (b"chunked,", "refused"),
        (b"chunked, chunked", "refused"),
        (b"chunked, identity", "refused"),
        (b"chunked, gzip", "refused"),
        (b"chunked;q=1", "refused"),
        (b"identity", "refused"),
        (b"gzip", "refused"),
        (b"cow", "refused"),
        (b"xchunked", "refused"),
        (b"x-chunked", "refused"),
        (b"chunkedx", "refused"),
        (b"chunk", "refused"),
        (b'"chunked"', "refused"),
        (b"'chunked'", "refused"),
        (b"\x0bchunked", "refused"),
        (b"chunked\x0c", "refused"),
        (b"chunked\x00", "refused"),
        (b"\x00chunked", "refused"),
        (b"chunked\r", "refused/one|refused"),
        (b"chun\xffked", "refused"),
        ("сhunked".encode(), "refused"),  # a Cyrillic letter
        (b"", "refused"),
    ]
    fields: list[tuple[bytes, str]] = [
        (b"tRANSFER-eNCODING: chunked", "one"),
        (b"Transfer-Encoding:chunked", "one"),
        (b"Transfer-Encoding : chunked", "refused"),
        (b"Transfer-Encoding\t: chunked", "refused"),
        (b"Transfer-Encoding\x0b: chunked", "refused"),
        (b"Transfer-Encoding\x00: chunked", "refused"),
        (b"Transfer-Encoding:\r\n chunked", "refused"),
        (b"Transfer-Encoding\r\n: chunked", "refused"),
        (b"Transfer_Encoding: chunked", "leftover"),
        (b"X: x\nTransfer-Encoding: chunked", "refused/refused|one"),
        (b"X: x\rTransfer-Encoding: chunked", "refused"),
        (TE + b"\r\n" + TE, "refused"),
        (TE + b"\r\nTransfer-Encoding: identity", "refused"),
        (b"Transfer-Encoding: identity\r\n" + TE, "one|last|refused"),
        (TE + b"\r\nTransfer-Encoding: cow", "refused"),
        (b"Transfer-Encoding: cow\r\n" + TE, "refused"),
        (TE + b"\r\nConnection: Transfer-Encoding", "one"),
        (TE + b"\r\nTE: chunked, trailers", "one"),
    ]
    both: list[tuple[str, bytes, str]] = [
        ("CL.TE", post(LENGTH, TE, body=CHUNKS), "refused"),
        ("TE.CL", post(TE, LENGTH, body=CHUNKS), "refused"),
        ("CL.TE with a request after the last chunk", post(b"Content-Length: 90", TE, body=b"0\r\n\r\n" + INNER), "refused"),
        ("TE.CL with a request in the chunk", post(TE, b"Content-Length: 4", body=INNER_CHUNKS), "refused"),
        ("CL.0", post(b"Content-Length: 0", TE, body=INNER_CHUNKS), "refused"),
        ("CL.TE, the encoding obscured", post(LENGTH, b"Transfer-Encoding : chunked", body=ROW + INNER), "refused"),
        ("CL.TE, the encoding unknown", post(LENGTH, b"Transfer-Encoding: xchunked", body=ROW + INNER), "refused"),
        ("CL.TE, the encoding folded", post(LENGTH, b"Transfer-Encoding:\r\n chunked", body=ROW + INNER), "refused"),
        ("CL.TE, the encoding with an underscore", post(LENGTH, b"Transfer_Encoding: chunked"), "one"),
        ("CL and identity", post(LENGTH, b"Transfer-Encoding: identity", body=ROW + INNER), "refused"),
        ("CL and an empty encoding", post(LENGTH, b"Transfer-Encoding: ", body=ROW + INNER), "refused"),
        ("HTTP/1.0 with chunks", post(TE, first=b"POST /predict HTTP/1.0", body=CHUNKS), "refused"),
        (
            "HTTP/1.0 kept alive with chunks",
            post(TE, b"Connection: keep-alive", first=b"POST /predict HTTP/1.0", body=CHUNKS + INNER),
            "refused",
        ),
        ("HTTP/1.0 with both", post(LENGTH, TE, first=b"POST /predict HTTP/1.0", body=CHUNKS), "refused"),
        ("chunks without a body", chunked(b"0\r\n\r\n"), "one"),
        ("GET with chunks", get(TE, body=CHUNKS), "one"),
        ("GET with a request in its chunks", get(TE, body=INNER_CHUNKS), "one"),
        ("GET with broken chunks", get(TE, body=b"zz\r\n" + INNER), "last|refused"),
    ]
    return [
        *(Case(f"encoding {_short(v)}", post(b"Transfer-Encoding: " + v, body=CHUNKS), e) for v, e in values),
        *(Case(f"encoding as {field!r}", post(field, body=CHUNKS), e) for field, e in fields),
        *(Case(*row) for row in both),
    ]


def _chunks() -> list[Case]:
    sizes: list[tuple[bytes, str]] = [
        (b"11", "one"),
        (b"0000000011", "one"),
        (b"11;", "one|refused"),
        (b"11;a", "one"),
        (b"11;a=b;c=d", "one"),
        (b'11;a="b;c"', "one"),
        (b"11 ;a", "one|refused"),
        (b"11;a b", "one|refused"),
        (b"11;" + b"a" * 5000, "one|refused"),
        (b"11;" + b"a" * 100_000, "one|refused"),
        (b"11;a\x00", "one|refused"),
        (b"11;a\rb", "one|refused"),
        (b"11;a\nb", "refused"),
        (b"11\n", "refused"),
        (b"11\r", "refused"),
        (b"11 ", "one|refused"),
        (b"11\t", "one|refused"),
        (b" 11", "refused"),
        (b"\r\n11", "refused"),
        (b"", "refused"),
        (b";a", "refused"),
        (b"g", "refused"),
        (b"11g", "refused"),
        (b"0x11", "refused"),
        (b"1_1", "refused"),
        (b"1 1", "refused"),
        (b"+11", "refused"),
        (b"-11", "refused"),
        (b"-1", "refused"),
        (b"11.0", "refused"),
        (b"\x0011", "refused"),
        (b"11\x00", "refused"),
        (b"\xb2", "refused"),
        (b"1" * 20_000, "refused"),
        (b"10000000000000011", "waits|refused"),  # 2**64 + 17
        (b"ffffffffffffffff", "waits|refused"),
        (b"7fffffffffffffff", "waits|refused"),
        (b"fffffffffffffffe", "waits|refused"),
        (b"100000011", "waits|refused"),  # 2**32 + 17
        (b"12", "refused/one|refused"),
        (b"10", "refused"),
    ]
    ends: list[tuple[str, bytes, str]] = [
        ("00", b"00\r\n\r\n", "one"),
        ("0;a", b"0;a=b\r\n\r\n", "one"),
        ("-0", b"-0\r\n\r\n", "refused"),
        ("0x0", b"0x0\r\n\r\n", "refused"),
        ("0 with a line feed", b"0\n\r\n", "refused/refused|one"),
        ("0 with two line feeds", b"0\n\n", "refused/refused|one"),
        ("no empty line", b"0\r\n", "waits|refused|swallows"),
        ("nothing", b"", "waits|refused"),
        ("a trailer", b"0\r\nX-Sum: 1\r\n\r\n", "one"),
        ("a length as trailer", b"0\r\nContent-Length: 5\r\n\r\n", "one|refused"),
        ("an encoding as trailer", b"0\r\nTransfer-Encoding: chunked\r\n\r\n", "one|refused"),
        ("a host as trailer", b"0\r\nHost: evil\r\n\r\n", "one|refused"),
        ("an id as trailer", b"0\r\nX-Request-ID: {id}-smuggled\r\n\r\n", "one|refused"),
        ("a trailer without a colon", b"0\r\nXSum\r\n\r\n", "one|refused"),
        ("a trailer with a space", b"0\r\nX Sum: 1\r\n\r\n", "one|refused"),
        ("a trailer folded", b"0\r\nX-Sum: 1\r\n 2\r\n\r\n", "one|refused"),
        ("a trailer with NUL", b"0\r\nX-Sum: \x00\r\n\r\n", "one|refused"),
        ("a trailer with a line feed", b"0\r\nX-Sum: 1\nY: 2\r\n\r\n", "one|refused"),
        ("101 trailers", b"0\r\n" + b"X-Sum: 1\r\n" * 101 + b"\r\n", "one|refused"),
        ("9 KB of trailer", b"0\r\nX-Sum: %s\r\n\r\n" % (b"a" * 9000), "one|refused"),
        ("a request in place of trailers", b"0\r\n" + INNER, "one|refused"),
    ]
    bodies: list[tuple[str, bytes, str]] = [
        ("two chunks", b"5\r\n[5.9,\r\nC\r\n3.0,5.1,1.8]\r\n0\r\n\r\n", "one"),
        ("a chunk a byte", joined(b"1\r\n%c\r\n" % byte for byte in ROW) + b"0\r\n\r\n", "one"),
        ("no line end after the data", b"11\r\n" + ROW + b"0\r\n\r\n", "refused"),
        ("a line feed after the data", b"11\r\n" + ROW + b"\n0\r\n\r\n", "refused/refused|one"),
        ("a carriage return after the data", b"11\r\n" + ROW + b"\r0\r\n\r\n", "refused"),
        ("two other bytes after the data", b"11\r\n" + ROW + b"XX0\r\n\r\n", "refused"),
        ("two line ends after the data", b"11\r\n" + ROW + b"\r\n\r\n0\r\n\r\n", "refused"),
        ("a size hidden behind two bytes", b"11;a\r\n" + ROW + b"ab0\r\n\r\n" + INNER, "refused"),
        ("a request behind an extension's line feed", b"11;a\n" + ROW + b"\r\n0\r\n\r\n" + SECOND, "refused/refused|two"),
        ("a request behind the last chunk's line feed", b"11\r\n" + ROW + b"\r\n0;a\n\r\n" + SECOND, "refused/refused|two"),
        ("no chunk at all", ROW, "refused"),
    ]
    return [
        *(Case(f"chunk {_short(s)}", chunked(s + b"\r\n" + ROW + b"\r\n0\r\n\r\n"), e) for s, e in sizes),
        *(Case(f"last chunk: {name}", chunked(b"11\r\n" + ROW + b"\r\n" + end), e) for name, end, e in ends),
        *(Case(f"chunks: {name}", chunked(body), e) for name, body, e in bodies),
    ]


def _first_lines() -> list[Case]:
    firsts: list[tuple[bytes, str]] = [
        (b"GET /livez HTTP/1.1", "one"),
        (b"GET /livez HTTP/1.0", "last"),
        (b"GET /livez HTTP/1.2", "one|refused"),
        (b"GET /livez HTTP/1.10", "refused/one|refused"),
        (b"GET /livez HTTP/0.9", "refused"),
        (b"GET /livez HTTP/2.0", "refused"),
        (b"GET /livez HTTP/3", "refused"),
        (b"GET /livez HTTP/9.9", "refused"),
        (b"GET /livez HTTP/01.1", "refused"),
        (b"GET /livez HTTP/1.", "refused"),
        (b"GET /livez HTTP/.1", "refused"),
        (b"GET /livez HTTP/1,1", "refused"),
        (b"GET /livez HTTP/1.1x", "refused"),
        (b"GET /livez HTTP/1.1 x", "refused"),
        (b"GET /livez HTTP/" + b"1" * 100 + b".1", "refused"),
        ("GET /livez HTTP/１.１".encode(), "refused"),
        (b"GET /livez http/1.1", "refused"),
        (b"GET /livez HTP/1.1", "refused"),
        (b"GET /livez HTTP /1.1", "refused"),
        (b"GET /livez HTTP/1.1 ", "one|refused"),
        (b"GET  /livez HTTP/1.1", "one|refused"),
        (b"GET /livez  HTTP/1.1", "one|refused"),
        (b"GET\t/livez\tHTTP/1.1", "refused"),
        (b"GET\x0b/livez HTTP/1.1", "refused"),
        (b" GET /livez HTTP/1.1", "refused"),
        (b"\r\nGET /livez HTTP/1.1", "one"),
        (b"\r\n\r\n\r\nGET /livez HTTP/1.1", "one|refused"),
        (b"\nGET /livez HTTP/1.1", "one|refused"),
        (b"\rGET /livez HTTP/1.1", "refused/one|refused"),
        (b"\x00GET /livez HTTP/1.1", "refused"),
        (b"\xef\xbb\xbfGET /livez HTTP/1.1", "refused"),
        (b"GE\x00T /livez HTTP/1.1", "refused"),
        (b"GET\x00PROXY /livez HTTP/1.1", "refused"),
        (b"get /livez HTTP/1.1", "refused"),
        (b"GET# /livez HTTP/1.1", "refused"),
        (b"G\xc9T /livez HTTP/1.1", "refused"),
        (b"GE(T /livez HTTP/1.1", "refused"),
        (b"GE /livez HTTP/1.1", "one|refused"),
        (b"G" * 21 + b" /livez HTTP/1.1", "one|refused"),
        (b"G" * 9000 + b" /livez HTTP/1.1", "refused"),
        (b"GET /livez HTTP/1.1\rHost: evil", "refused"),
        (b"GET /livez HTTP/1.1\r\r", "refused"),
        (b"GET", "refused"),
        (b"GET /livez", "refused|last"),  # HTTP/0.9 to nginx, which answers with no more than the body
        (b"/livez HTTP/1.1", "refused"),
        (b"GET HTTP/1.1", "refused"),
        (b"GET livez HTTP/1.1", "refused"),
        (b"GET * HTTP/1.1", "refused"),
        (b"OPTIONS * HTTP/1.1", "one|refused"),
        (b"OPTIONS /livez HTTP/1.1", "one"),
        (b"CONNECT evil:443 HTTP/1.1", "last|refused"),
        (b"CONNECT /livez HTTP/1.1", "last|refused"),
        (b"PURGE /livez HTTP/1.1", "one"),
        (b"PRI * HTTP/2.0", "refused"),
        (b"GET evil:80 HTTP/1.1", "refused"),
        (b"GET http://tepal/livez HTTP/1.1", "one"),
        (b"GET http://evil/livez HTTP/1.1", "one|refused"),
        (b"GET https://evil:443/livez HTTP/1.1", "one|refused"),
        (b"GET http://user:word@tepal/livez HTTP/1.1", "one|refused"),
        (b"GET http://[::1]/livez HTTP/1.1", "one|refused"),
        (b"GET http://[::1/livez HTTP/1.1", "refused"),
        (b"GET http:///livez HTTP/1.1", "one|refused"),
        (b"GET http:/livez HTTP/1.1", "refused"),
        (b"GET file:///etc/passwd HTTP/1.1", "one|refused"),
        (b"GET //evil/livez HTTP/1.1", "one"),
        (b"GET /livez#x HTTP/1.1", "one|refused"),
        (b"GET /li vez HTTP/1.1", "refused"),
        (b"GET /livez\x00 HTTP/1.1", "refused"),
        (b"GET /livez\x7f HTTP/1.1", "refused"),
        (b"GET /livez\x01 HTTP/1.1", "refused"),
        (b"GET /\xff HTTP/1.1", "one|refused"),
        (b"GET /livez%0d%0aX:x HTTP/1.1", "one"),
        (b"GET /livez?a=%00 HTTP/1.1", "one"),
    ]
    whole: list[tuple[str, bytes, str]] = [
        ("only line feeds", get().replace(b"\r\n", b"\n"), "refused/one|refused"),
        ("only carriage returns", get().replace(b"\r\n", b"\r"), "refused"),
        ("a line feed after the first line", get().replace(b"\r\n", b"\n", 1), "refused/one|refused"),
        ("a line feed before the body", get()[:-4] + b"\n\n", "refused/one|refused"),
        ("a preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "refused"),
        ("a hello of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32) + b"\r\n\r\n", "refused"),
        ("a hello of PROXY", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get(), "refused"),
        ("a hello of PROXY 2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12) + get(), "refused"),
        ("spaces only", b"   \t  \r\n\r\n", "refused"),
        ("an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "refused"),
        ("a body first", ROW + b"\r\n" + get(), "refused"),
    ]
    return [
        *(Case(f"first line {_short(first)}", get(first=first), expected) for first, expected in firsts),
        *(Case(*row) for row in whole),
    ]


def _fields() -> list[Case]:
    hosts: list[tuple[str, list[bytes], str]] = [
        ("none", [], "one|refused/refused"),
        ("two", [b"Host: a", b"Host: b"], "refused"),
        ("two the same", [b"Host: a", b"Host: a"], "refused"),
        ("empty", [b"Host: "], "one|refused"),
        ("with a space", [b"Host: a b"], "one|refused"),
        ("with a slash", [b"Host: a/b"], "one|refused"),
        ("with NUL", [b"Host: a\x00b"], "refused"),
        ("with an at sign", [b"Host: a@b"], "one|refused"),
        ("a list", [b"Host: a, b"], "one|refused"),
        ("behind a space", [b"Host : a"], "refused"),
        ("folded", [b"Host:", b" a"], "refused"),
    ]
    fields: list[tuple[bytes, str]] = [
        (b"X: a\r\n b", "refused"),
        (b"X: a\r\n\tb", "refused"),
        (b"X:\r\n ", "refused"),
        (b" X: a", "refused"),
        (b"X : a", "refused"),
        (b"X Y: a", "refused"),
        (b"X\t: a", "refused"),
        (b": a", "refused"),
        (b"X", "refused/one|refused"),
        (b"X: a\x00b", "refused"),
        (b"X\x00: a", "refused"),
        (b"X: a\rb", "refused"),
        (b"X: a\r", "refused/one|refused"),
        (b"X: a\nY: b", "refused/one|refused"),
        (b"X: a\x01b", "one|refused"),
        (b"X: a\x7fb", "one|refused"),
        (b"X: a\tb", "one"),
        (b"X: \xff", "one"),
        (b"X\xff: a", "refused/one|refused"),
        (b"(X): a", "refused/one|refused"),
        (b"X@Y: a", "refused/one|refused"),
        (b"X_Y: a", "one"),
        (b"X:", "one"),
        (b"X:" + b" " * 5000 + b"a", "one"),
        (b"X: " + b"a" * 9000, "refused"),
        (b"X: a\r\n" * 101 + b"Y: a", "refused/one|refused"),
        (b"Connection: close", "last"),
        (b"Connection: Close", "last"),
        (b"Connection: keep-alive", "one"),
        (b"Connection: close, keep-alive", "one|last"),
        (b"Connection: keep-alive\r\nConnection: close", "one|last"),
        (b"Connection: X-Request-ID", "one"),
        (b"Connection: Host", "one"),
        (b"Proxy-Connection: close", "one"),
        (b"Keep-Alive: timeout=1000", "one"),
        (b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13", "one"),
        (b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__", "one"),
        (b"Upgrade: TLS/1.3\r\nConnection: Upgrade", "one"),
        (b"X-HTTP-Method-Override: DELETE", "one"),
        (b"X-Original-URL: /metrics\r\nX-Rewrite-URL: /metrics", "one"),
        (b"SCRIPT_NAME: /x\r\nPATH_INFO: /y", "one"),
        (b"Script-Name: /x\r\nPath-Info: /y\r\nRemote-Addr: z", "one"),
        (b"Expect: 100-continue", "one"),
        (b"Expect: 200-ok", "one|refused"),
        (b"Range: bytes=0-0,1-1", "one"),
        (b"If-None-Match: *", "one"),
    ]
    expecting: list[tuple[str, bytes, str]] = [
        ("continue by length", post(LENGTH, b"Expect: 100-continue"), "one"),
        ("continue by chunks", post(TE, b"Expect: 100-continue", body=CHUNKS), "one"),
        ("continue, written otherwise", post(LENGTH, b"Expect: 100-CONTINUE"), "one"),
        ("continue twice", post(LENGTH, b"Expect: 100-continue", b"Expect: 100-continue"), "one|refused"),
        ("continue and more", post(LENGTH, b"Expect: 100-continue, x"), "one|refused"),
        ("another expectation", post(LENGTH, b"Expect: x"), "one|refused"),
        ("continue in HTTP/1.0", post(LENGTH, b"Expect: 100-continue", first=b"POST /predict HTTP/1.0"), "last"),
        (
            "continue, with a request as body",
            post(INNER_LENGTH, b"Expect: 100-continue", body=INNER, first=b"POST /nowhere HTTP/1.1"),
            "one|last",
        ),
    ]
    return [
        *(
            Case(f"host: {name}", lines(b"GET /livez HTTP/1.1", *host, b"X-Request-ID: {id}-first"), e)
            for name, host, e in hosts
        ),
        Case("host: none, in HTTP/1.0", lines(b"GET /livez HTTP/1.0", b"X-Request-ID: {id}-first"), "last"),
        *(Case(f"header {_short(field)}", get(field), expected) for field, expected in fields),
        *(Case(f"expects: {row[0]}", *row[1:]) for row in expecting),
    ]


def _bodies() -> list[Case]:
    def hidden(first: bytes, *fields: bytes, size: int = 0) -> bytes:
        """INNER as the body of another request; behind spaces, where it has a size."""
        length, body = (b"Content-Length: %d" % size, b"{inner in %d}" % size) if size else (INNER_LENGTH, INNER)
        return get(*fields, length, first=first + b" HTTP/1.1", body=body)

    rows: list[tuple[str, bytes, str, int]] = [
        ("GET", hidden(b"GET /livez"), "one", 0),
        ("GET of nothing", hidden(b"GET /nowhere"), "one", 0),
        ("GET, not modified", hidden(b"GET /version", b"If-None-Match: *"), "one", 0),
        ("HEAD", hidden(b"HEAD /livez"), "one", 1),
        ("HEAD by chunks", get(TE, first=b"HEAD /livez HTTP/1.1", body=INNER_CHUNKS), "one", 1),
        ("DELETE", hidden(b"DELETE /predict"), "one", 0),
        ("PUT", hidden(b"PUT /predict"), "one", 0),
        ("OPTIONS", hidden(b"OPTIONS /predict"), "one", 0),
        ("TRACE", hidden(b"TRACE /livez"), "one|refused", 0),
        ("CONNECT", hidden(b"CONNECT evil:80"), "last|refused", 0),
        ("PATCH by chunks", get(TE, first=b"PATCH /predict HTTP/1.1", body=INNER_CHUNKS), "one", 0),
        ("POST to nothing", hidden(b"POST /nowhere"), "one", 0),
        ("POST to nothing by chunks", post(TE, first=b"POST /nowhere HTTP/1.1", body=INNER_CHUNKS), "one", 0),
        ("POST of another type", hidden(b"POST /predict", b"Content-Type: image/png"), "one", 0),
        ("POST in another encoding", hidden(b"POST /predict", b"Content-Encoding: br"), "one", 0),
        ("POST of no JSON", hidden(b"POST /predict"), "one", 0),
        ("POST, then closed", hidden(b"POST /predict", b"Connection: close"), "last", 0),
        ("GET, 100 KB", hidden(b"GET /livez", size=102_400), "one|last", 0),
        ("POST to nothing, 100 KB", hidden(b"POST /nowhere", size=102_400), "one|last", 0),
        ("POST, too large", hidden(b"POST /predict", size=1024 * 1024 + 1), "one|last|refused", 0),
        ("POST, 16 times too large", hidden(b"POST /predict", size=16 * 1024 * 1024), "last|refused", 0),
    ]
    pipelined: list[tuple[str, bytes, str]] = [
        ("GET", get() + SECOND, "two"),
        ("GET behind an empty line", get() + b"\r\n" + SECOND, "two"),
        ("POST", post(LENGTH) + SECOND, "two"),
        ("POST by chunks", chunked(CHUNKS) + SECOND, "two"),
        ("POST without a length", post(body=SECOND), "two"),
        ("POST of length 0", post(b"Content-Length: 0", body=SECOND), "two"),
        ("POST that is refused", post(LENGTH, body=b"[" * 17) + SECOND, "two"),
        ("HTTP/1.0 kept alive", get(b"Connection: keep-alive", first=b"GET /livez HTTP/1.0") + SECOND, "two"),
        ("HTTP/1.0 not kept alive", get(first=b"GET /livez HTTP/1.0") + INNER, "last"),
        ("HTTP/1.0 without a length", post(first=b"POST /predict HTTP/1.0", body=INNER), "last"),
        ("behind a close", get(b"Connection: close") + INNER, "last"),
        ("behind CONNECT", get(first=b"CONNECT evil:80 HTTP/1.1") + INNER, "last|refused"),
        ("behind a broken one", get(b"X : x") + INNER, "refused"),
    ]
    return [
        *(Case(f"a request as body of {row[0]}", *row[1:]) for row in rows),
        *(Case(f"pipelined: {name}", request, expected) for name, request, expected in pipelined),
    ]


CASES = (*_lengths(), *_encodings(), *_chunks(), *_first_lines(), *_fields(), *_bodies())
