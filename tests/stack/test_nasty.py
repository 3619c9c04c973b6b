"""Bodies, paths and headers that no honest client sends: each is answered or refused, and the service stays as it was."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import pickle
import random
import re
import socket
import struct
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from api.answer import answer
from api.message import Request
from api.pages import home
from tests import servers
from tests.parts import EXAMPLES
from tests.stack.desync import CASES, CHUNKS, INNER, ROW, TE, get, lines, post
from tests.stack.load import Load
from tests.stack.raw import IDLE, LogReader, Way, converse, error_of

MIB = 1024 * 1024
CLOSE = b"Connection: close"
KNOWN_HEADERS = {
    *("server", "date", "connection", "content-type", "content-length", "transfer-encoding", "x-request-id"),
    *("cache-control", "etag", "server-timing", "allow", "retry-after", "vary"),
    *("content-security-policy", "x-content-type-options", "referrer-policy"),
}


pytestmark = pytest.mark.usefixtures("unharmed")


def to(path: bytes, body: bytes, *fields: bytes) -> bytes:
    return post(CLOSE, b"Content-Length: %d" % len(body), *fields, body=body, first=b"POST %s HTTP/1.1" % path)


def ask(way: Way, request: bytes, identity: str = "nasty", heads: int = 0):
    """The one answer to a request that ends its connection; an error has the one shape, and no header is made up."""
    (received,) = converse(way.port, request.replace(b"{id}", identity.encode()), heads=heads).answers
    if received.status >= 400 and not heads:
        error_of(received)
    assert {name for name, _ in received.headers} <= KNOWN_HEADERS
    return received


def record(city: bytes) -> bytes:
    return b'{"age":30,"height":170,"city":%s,"plan":"basic","member":true,"joined":0}' % city


def _texts() -> dict[str, tuple[bytes, int]]:
    """A body by name, and the status that is due: 200 means that it is the virginica that it looks like."""
    row, rest = ROW.decode(), ',"sepal_width":3,"petal_length":5.1,"petal_width":1.8}'
    refused = {
        f"not JSON: {text[:20]!r}": text
        for text in [
            "[5.9,3.0,5.1,1.8", "5.9,3.0,5.1,1.8]", "[5.9,3.0,5.1,1.8]]", "[5.9,3.0,5.1,1.8,]", "[,5.9,3.0,5.1,1.8]",
            "[5.9,,3.0,5.1]", "[5.9 3.0 5.1 1.8]", "[5.9;3.0;5.1;1.8]", "(5.9,3.0,5.1,1.8)", "[+5.9,3.0,5.1,1.8]",
            "[05.9,3.0,5.1,1.8]", "[.9,3.0,5.1,1.8]", "[5.,3.0,5.1,1.8]", "[5.9e,3.0,5.1,1.8]", "[5.9e+,3.0,5.1,1.8]",
            "[0x5,3.0,5.1,1.8]", "[5_9,3.0,5.1,1.8]", "[--5,3.0,5.1,1.8]", "[５,3.0,5.1,1.8]", "[1 000,3.0,5.1,1.8]",
            "[NaN,3.0,5.1,1.8]", "[nan,3.0,5.1,1.8]", "[-NaN,3,5,1]", "[Infinity,3.0,5.1,1.8]", "[-Infinity,3.0,5.1,1.8]",
            "[inf,3,5,1]", "[None,3,5,1]", "[True,3,5,1]", "[TRUE,3,5,1]", "[undefined,3,5,1]", "['a',3,5,1]", '["a,3,5,1]',
            "// a\n" + row, row + " // a", "/* a */" + row, "# a\n" + row, row + row, row + "\n" + row, row + "\0",
            "\0" + row, "\x0b" + row, "\u00a0" + row, "\ufeff\ufeff" + row, '["\n",3,5,1]', '["\t",3,5,1]', '["\0",3,5,1]',
            r'["\x41",3,5,1]', r'["\u00",3,5,1]', r'["\u{41}",3,5,1]', r'["\'",3,5,1]', r'["\ud800",3,5,1]',
            r'["\ud800\u0041",3,5,1]', r'["\udc00\ud800",3,5,1]', r'{"\ud800":1}', "{a:1}", "{'a':1}", '{"a":1,}', '{"a"}',
            '{"a":}', '{"a" 1}', '{"a":1 "b":2}', '{1:2}', '{"a":1}}', "{[]}", "[{]}", '{"a":[1}', '"', "\\", "\\u005b1]",
            "<rows/>", "rows=1", "a: 1", "%5B5.9%5D", "W10=", "(", ")", "{", "}", "[", "]", ":", ",", "-", ".", "e",
            "tru", "nul", "fals", "[1e400,3,5,1]", "[-1e400,3,5,1]", "[1e999999999999,3,5,1]", "[" + "1" * 309 + ",3,5,1]",
            "[" + "1" * 4301 + ",3,5,1]", "[" + "9" * 1_000_000 + ",3,5,1]", "[-" + "9" * 4301 + ".5,3,5,1]",
        ]
    }  # fmt: skip
    invalid = {
        f"no rows: {text[:20]!r}": text
        for text in [
            "null", "true", "1", '"a"', "[]", "{}", "[[]]", "[{}]", "[[],[]]", "[null]", '{"instances":[]}', '{"a":1}',
            '["\\u0000",3,5,1]', '["5.9",3,5,1]', "[[5.9,3.0,5.1,1.8],null]", '[[5.9,3.0,5.1,1.8],{"a":1}]', "[[[5.9]]]",
            '{"__proto__":{"a":1}}', '{"constructor":1}', '{"$type":"System.Object"}', '{"py/object":"os.system"}',
            '{"a\\r\\nSet-Cookie: a":1}', '{"":""}', '{"data":{"data":{"data":[1]}}}', '["' + "a" * 900_000 + '",3,5,1]',
        ]
    }  # fmt: skip
    taken = {
        "a byte order mark": "\ufeff" + row,
        "blanks around": " \t\r\n" + row + " \t\r\n" * 1000,
        "a key twice, the last counts": '{"sepal_length":"x","sepal_length":5.9' + rest,
        "a key escaped": r'{"\u0073epal_length":5.9' + rest,
        "4,301 decimals": "[5.9" + "0" * 4301 + ",3.0,5.1,1.8]",
        "a small exponent": "[5.9,3.0,5.1,18000000000e-10]",
        "1e-400": "[5.9,3.0,5.1,1.8]".replace("5.9", "5.9e-0"),
    }
    depth = {
        f"{count:,} deep: {start!r}": (start * count)[: MIB - 10] + end
        for start, end in [("[", ""), ('{"a":', ""), ('[{"a":', ""), ("[[", "]" * 100)]
        for count in (65, 1000, 100_000)
    }
    encoded = {
        name: (row.encode(name), 400) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-7")[:5]
    }
    raw = {
        "0xff": b'["\xff",3,5,1]',
        "overlong": b'["\xc0\xaf",3,5,1]',
        "half a pair as bytes": b'["\xed\xa0\x80",3,5,1]',
        "beyond Unicode": b'["\xf4\x90\x80\x80",3,5,1]',
        "cut in a character": b'["\xe2\x82',
        "a stray continuation": b"\x80" + ROW,
    }
    return {
        **{name: (text.encode(), 400) for name, text in (refused | depth).items()},
        **{name: (text.encode(), 422) for name, text in invalid.items()},
        **{name: (text.encode(), 200) for name, text in taken.items()},
        **{name: (body, 400) for name, body in raw.items()},
        **encoded,
    }


TEXTS = _texts()


@pytest.mark.parametrize("name", TEXTS, ids=ascii)
def test_a_body_is_what_it_says_or_is_refused(way, name):
    """400 for what is no JSON, 422 for what is no row of this model, and no guess."""
    body, status = TEXTS[name]

    received = ask(way, to(b"/predict", body, b"Content-Type: application/json"))
    guessed = ask(way, to(b"/predict", body))

    assert received.status == status, received.body[:300]
    assert status != 200 or json.loads(received.body)["predictions"] == ["virginica"]
    assert guessed.status == status or guessed.status in (200, 400, 422), guessed.body[:300]


@pytest.mark.parametrize(
    "city", [rb'"\u0000"', rb'"\u001b[31m"', '"\x9b\u2028\u202e"'.encode(), b'"' + b"a" * 100_000 + b'"']
)
def test_a_strange_text_is_a_category_that_was_never_seen(way, city):
    """422 with what is known, and the text as JSON has it."""
    received = ask(way, to(b"/models/people/predict", record(city)))

    assert received.status == 422
    assert len(received.body) < 2000


# Content-Encoding and body; the status that is due.
GZIP = gzip.compress(ROW)
BOMB = gzip.compress(b" " * 200 * MIB)
ENCODED: dict[str, tuple[bytes, bytes, set[int]]] = {
    "gzip": (b"gzip", GZIP, {200}),
    "gzip, in capitals": (b"GZIP", GZIP, {200, 415}),
    "identity": (b"identity", ROW, {200}),
    "a bomb": (b"gzip", BOMB, {413}),
    "a bomb in a bomb": (b"gzip", gzip.compress(BOMB), {400, 413}),
    "a bomb of members": (b"gzip", gzip.compress(b" " * MIB) * 64, {400, 413}),
    "members of nothing": (b"gzip", gzip.compress(b"") * 50_000, {400, 413}),
    "twice, as one": (b"gzip", gzip.compress(GZIP), {400}),
    "twice, and said so": (b"gzip, gzip", gzip.compress(GZIP), {400, 415}),
    "no gzip at all": (b"gzip", ROW, {400}),
    "empty": (b"gzip", b"", {400}),
    "only the head": (b"gzip", GZIP[:10], {400}),
    "cut": (b"gzip", GZIP[:-9], {400}),
    "without its trailer": (b"gzip", GZIP[:-8], {400}),
    "a wrong sum": (b"gzip", GZIP[:-8] + b"\0\0\0\0" + GZIP[-4:], {400}),
    "a wrong size": (b"gzip", GZIP[:-4] + b"\xff\xff\xff\x7f", {400}),
    "something behind": (b"gzip", GZIP + b"[1]", {400}),
    "NULs behind": (b"gzip", GZIP + b"\0" * 100, {200, 400}),
    "a flipped byte": (b"gzip", GZIP[:14] + bytes([GZIP[14] ^ 0xFF]) + GZIP[15:], {400}),
    "zlib": (b"deflate", b"x\x9c", {415}),
    "unknown": (b"br", ROW, {415}),
    "a word with a line end": (b"gzip\x0b", GZIP, {400, 415}),
}


@pytest.mark.parametrize("name", ENCODED)
def test_what_is_packed_is_unpacked_with_a_bound_or_refused(way, name):
    """A few bytes never become more than MAX_BODY_MB of memory, and half of a body is none."""
    encoding, body, statuses = ENCODED[name]

    received = ask(way, to(b"/predict", body, b"Content-Encoding: " + encoding))

    assert received.status in statuses, received.body


def npy(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """A .npy file by its parts; the header's length is right."""
    return b"\x93NUMPY" + version + len(header).to_bytes(2 if version < b"\x02" else 4, "little") + header + data


def shaped(shape: str, descr: str = "'<f8'", order: str = "False") -> bytes:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n".encode()


CELLS = struct.pack("<4d", 5.9, 3.0, 5.1, 1.8)
CSV, NPY, LINES = b"text/csv", b"application/x-npy", b"application/jsonlines"
# Type and body; the status that is due.
FORMATS: dict[str, tuple[bytes, bytes, set[int]]] = {
    "npy": (NPY, npy(shaped("(1, 4)"), CELLS), {200}),
    "npy: empty": (NPY, b"", {400}),
    "npy: only its magic": (NPY, b"\x93NUMPY", {400}),
    "npy: of a later version": (NPY, npy(shaped("(1, 4)"), CELLS, b"\x09\x00"), {400}),
    "npy: objects": (NPY, npy(shaped("(1, 4)", "'|O'"), pickle.dumps([1, 2, 3, 4])), {400, 422}),
    "npy: a pickle alone": (NPY, pickle.dumps([[5.9, 3.0, 5.1, 1.8]]), {400}),
    "npy: a zip": (NPY, b"PK\x03\x04" + bytes(100), {400}),
    "npy: cut": (NPY, npy(shaped("(1, 4)"), CELLS)[:-1], {400}),
    "npy: something behind": (NPY, npy(shaped("(1, 4)"), CELLS) + b"x", {400}),
    "npy: a shape of terabytes": (NPY, npy(shaped("(1099511627776, 4)"), CELLS), {400, 413}),
    "npy: a shape beyond 64 bits": (NPY, npy(shaped("(18446744073709551617, 4)"), CELLS), {400, 413}),
    "npy: a shape of 5,000 digits": (NPY, npy(shaped(f"({'9' * 5000}, 4)"), CELLS), {400, 413}),
    "npy: a negative shape": (NPY, npy(shaped("(-1, 4)"), CELLS), {400, 422}),
    "npy: a shape of true": (NPY, npy(shaped("(True, 4)"), CELLS), {200, 400, 422}),
    "npy: no columns, 10**15 rows": (NPY, npy(shaped("(1000000000000000, 0)")), {400, 413, 422}),
    "npy: no rows": (NPY, npy(shaped("(0, 4)")), {422}),
    "npy: 64 dimensions": (NPY, npy(shaped(f"({'1, ' * 64})"), CELLS), {400, 422}),
    "npy: complex": (NPY, npy(shaped("(1, 4)", "'<c16'"), CELLS * 2), {400, 422}),
    "npy: dates": (NPY, npy(shaped("(1, 4)", "'<M8[ns]'"), CELLS), {400, 422}),
    "npy: fields": (NPY, npy(shaped("(1,)", "[('a', '<f8'), ('b', '|O')]"), CELLS), {400, 422}),
    "npy: text of a gigabyte": (NPY, npy(shaped("(1, 4)", "'<U268435456'"), CELLS), {400, 413, 422}),
    "npy: text of nothing": (NPY, npy(shaped("(1000000000, 4)", "'<U0'")), {400, 413, 422}),
    "npy: a header that computes": (NPY, npy(shaped("(9**9**9, 4)"), CELLS), {400}),
    "npy: a header that imports": (NPY, npy(shaped("(__import__('os').getpid(), 4)"), CELLS), {400}),
    "npy: a header 5,000 deep": (NPY, npy(shaped("(" * 5000 + ")" * 5000), CELLS), {400}),
    "npy: a header of 60,000 minus signs": (NPY, npy(shaped("-" * 60_000 + "1"), CELLS), {400}),
    "npy: a header of 500 KB": (NPY, npy(shaped("(1, 4)").rjust(500_000), CELLS, b"\x02\x00"), {200, 400}),
    "npy: no header": (NPY, npy(b""), {400}),
    "npy: a header of NUL": (NPY, npy(b"\0" * 100, CELLS), {400}),
    "npy: a header of bytes": (NPY, npy(b"\xff\xfe" * 50, CELLS, b"\x03\x00"), {400}),
    "CSV": (CSV, b"5.9,3.0,5.1,1.8\n", {200}),
    "CSV: empty": (CSV, b"", {400}),
    "CSV: only a header": (CSV, b"sepal_length,sepal_width,petal_length,petal_width\n", {400, 422}),
    "CSV: an open quote": (CSV, b'"5.9,3.0,5.1,1.8\n', {400, 422}),
    "CSV: an open quote and 1 MB": (CSV, b'"' + b"a" * 1_000_000, {400, 422}),
    "CSV: 500,000 quotes": (CSV, b'"' * 500_000, {400, 422}),
    "CSV: a quote in a cell": (CSV, b'5"9,3.0,5.1,1.8\n', {400, 422}),
    "CSV: NUL": (CSV, b"5.9,3.0,5.1,1.8\0\n", {400, 422}),
    "CSV: bad UTF-8": (CSV, b"\xff,3.0,5.1,1.8\n", {400}),
    "CSV: UTF-16": (CSV, "5.9,3.0,5.1,1.8\n".encode("utf-16"), {400}),
    "CSV: carriage returns": (CSV, b"5.9,3.0,5.1,1.8\r5.9,3.0,5.1,1.8\r", {200, 400, 422}),
    "CSV: ragged": (CSV, b"5.9,3.0\n5.9,3.0,5.1,1.8\n", {422}),
    "CSV: a formula": (CSV, b"=cmd|' /C calc'!A0,3.0,5.1,1.8\n", {422}),
    "CSV: 500,000 columns": (CSV, b"1," * 500_000, {400, 422}),
    "CSV: 1,000,000 empty lines": (CSV, b"\n" * 1_000_000, {400, 422}),
    "CSV: 500,000 empty rows": (CSV, b",\n" * 500_000, {400, 422}),
    "CSV: 60,000 rows of text": (CSV, b"a,b,c,d\ne,f,g,h\n" * 60_000, {400, 422}),
    "CSV: a number of 500,000 digits": (CSV, b"9" * 500_000 + b",3.0,5.1,1.8\n", {400, 422}),
    "CSV: inf": (CSV, b"inf,3.0,5.1,1.8\n", {422}),
    "CSV: 1e400": (CSV, b"1e400,3.0,5.1,1.8\n", {400}),
    "CSV: other digits": (CSV, "٥.٩,3.0,5.1,1.8\n".encode(), {422}),
    "CSV: a header twice": (CSV, b"sepal_length,sepal_length,petal_length,petal_width\n1,2,3,4\n", {400, 422}),
    "lines": (LINES, ROW + b"\n", {200}),
    "lines: empty": (LINES, b"", {400}),
    "lines: mixed": (LINES, ROW + b'\n{"sepal_length":1}\n', {422}),
    "lines: broken": (LINES, ROW + b"\n[5.9,\n3.0,5.1,1.8]\n", {400, 422}),
    "lines: a byte order mark inside": (LINES, ROW + b"\n\xef\xbb\xbf" + ROW, {400}),
    "lines: 100,000 deep": (LINES, ROW + b"\n" + b"[" * 100_000, {400}),
    "lines: 1,000,000 empty ones": (LINES, b"\n" * 1_000_000, {400, 422}),
    "lines: 300,000 empty lists": (LINES, b"[]\n" * 300_000, {400, 422}),
    "lines: 300,000 empty records": (LINES, b"{}\n" * 300_000, {400, 422}),
    "lines: 300,000 nulls": (LINES, b"0\n" * 300_000, {400, 422}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_body_in_another_format_is_what_it_says_or_is_refused(way, name):
    """No header of a file is believed before what it promises is there; nothing is ever unpickled."""
    media, body, statuses = FORMATS[name]

    received = ask(way, to(b"/predict", body, b"Content-Type: " + media))

    assert received.status in statuses, received.body[:300]
    assert received.status != 200 or "virginica" in json.loads(received.body)["predictions"]


class Payload:
    """A pickle that leaves a trace where it is opened."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("media", [NPY, CSV, LINES, b"application/octet-stream", b"application/x-pickle", b""])
def test_no_pickle_of_a_client_is_ever_opened(way, media, tmp_path):
    """Whatever it is called, and wherever in a file it is."""
    canary = tmp_path / "canary"
    pickled = pickle.dumps(Payload(canary))
    for body in (
        pickled,
        npy(shaped("(1, 4)", "'|O'"), pickled),
        npy(shaped("()", "'|O'"), pickled),
        gzip.compress(pickled),
    ):
        assert ask(way, to(b"/predict", body, b"Content-Type: " + media)).status in (400, 415, 422)

    assert not canary.exists()


@pytest.mark.parametrize("chunked", [False, True], ids=["by length", "by chunks"])
@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 2 * MIB, 64 * MIB])
def test_the_limit_is_the_limit(way, chunked, size):
    """To the byte, however the body comes; above it 413, never an answer to what was cut off."""
    body = ROW.ljust(size)
    log = LogReader(way.api)
    if chunked:
        pieces = (body[start : start + 65536] for start in range(0, size, 65536))
        request = post(CLOSE, TE, body=b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n")
    else:
        request = to(b"/predict", body)

    heard = converse(way.port, request.replace(b"{id}", b"limit"))

    if heard.answers or size < 64 * MIB:  # who still sends when the connection closes may hear nothing
        assert heard.statuses == ([200] if size <= MIB else [413])
    assert sum("model" in line for line in log.of("limit")) == (size <= MIB)


CUT = [post(b"Content-Length: 17", body=ROW[:length]) for length in (0, 1, 16)] + [
    post(TE, body=CHUNKS[:length]) for length in (1, 3, 5, 20, 21, 22, 23, 24, 25, 27)
]


@pytest.mark.parametrize("request_", CUT)
def test_nothing_is_computed_for_a_body_that_did_not_fully_arrive(way, request_):
    """A client that leaves half-way, even where the half is valid JSON, costs no prediction and no worker."""
    log = LogReader(way.api)

    heard = converse(way.port, request_.replace(b"{id}", b"cut"), idle=0.02)

    assert set(heard.statuses) <= {400}
    assert [line for line in log.of("cut") if "model" in line or line["status"] != 400] == []


TRICKS = [
    *(
        "..",
        "../..",
        "%2e%2e",
        "%2E%2e",
        "..%2f..",
        "%2e%2e%2f",
        "..%5c",
        "..\\",
        ".%00.",
        "....//",
        "..;",
        "..;/..",
        "%252e%252e",
    ),
    *("%c0%ae%c0%ae", "%c0%af", "%uff0e", "%e2%80%a5", "%ef%bc%8e%ef%bc%8e", "%u2215", "%e2%88%95", "．．"),
    *(
        "%2f",
        "%2F%2f",
        "%5c",
        "/",
        "//",
        "///etc/passwd",
        ";",
        ";a=b",
        "%3b",
        "%00",
        "iris%00",
        "iris%00.json",
        "%0d%0aSet-Cookie:a=b",
    ),
    *(
        "%",
        "%%",
        "%z",
        "%2",
        "%zz",
        "%e",
        "%f",
        "%1b[31m",
        "%7f",
        "%c2%9b31m",
        "%ff%fe",
        "%ed%a0%80",
        "%f0%9f%92%a9",
        "~",
        "~root",
    ),
    *(
        "a" * 300,
        "%61" * 300,
        "IRIS",
        "iris.",
        ".iris",
        "iris ",
        "iris%20",
        "%20iris",
        "iris%09",
        "ırıs",
        "iri%d1%95",
        "%d0%86ris",
    ),
    *(
        "*",
        "?",
        "#",
        "@",
        ":",
        "iris:predict",
        "$(id)",
        "`id`",
        "|id",
        "&id",
        "${jndi:ldap://a/b}",
        "{{7*7}}",
        "<script>",
        "'--",
    ),
    *(
        "con",
        "nul",
        "COM1",
        "-",
        "_",
        ".",
        "...",
        "__class__",
        "%5f%5fclass%5f%5f",
        "manifest.json",
        "1",
        "0",
        "-1",
        "%2e",
        "None",
    ),
]
PLACES = [
    "/{}",
    "/models/{}",
    "/models/{}/predict",
    "/models/iris/{}",
    "/models/iris/versions/{}",
    "/models/iris/versions/{}/predict",
]
# Those of them that are a real path once a query, a fragment or a blank is taken off.
MEANT = re.compile(r"/(models(/iris(/versions/1)?)?)?(/predict)?|/readyz")


def paths() -> list[str]:
    return [place.format(trick) for place, trick in itertools.product(PLACES, TRICKS)]


def test_a_trick_in_a_path_finds_nothing(way):
    """500 ways to leave the model repository end in 404 or 400, each as an answer of its own."""
    assert len(paths()) >= 500
    found = {}
    for path in paths():
        for target in (path, quote(path, safe="/%")):
            first = b"GET %s HTTP/1.1" % target.encode()
            heard = converse(way.port, get(CLOSE, first=first).replace(b"{id}", b"path"))
            for received in heard.answers:
                if received.status >= 400:
                    error_of(received)
            if set(heard.statuses) - {400, 404, 405, 505}:
                found[target] = heard.statuses

    assert [target for target in found if not MEANT.fullmatch(re.split("[?#]", target)[0].rstrip(" "))] == []


def test_a_trick_in_a_path_opens_no_file(quiet_context):
    """No path reaches the file system, which an audit hook sees."""
    opened: list[str] = []
    active = [True]
    sys.addaudithook(lambda event, arguments: opened.append(str(arguments)) if active[0] and event == "open" else None)
    try:
        for path in paths():
            for method in ("GET", "POST"):
                decoded = Request(method, path, {}, {})
                answer(quiet_context, decoded, lambda: ROW)
    finally:
        active[0] = False

    assert opened == []


FLOODS = {
    "97 headers": b"X: a\r\n" * 97,
    "101 headers": b"X: a\r\n" * 101,
    "101 names": b"".join(b"X-%d: a\r\n" % number for number in range(101)),
    "10,000 duplicates": b"X: a\r\n" * 10_000,
    "10,000 of no name": b": a\r\n" * 10_000,
    "40 KB in five": b"X: %s\r\n" % (b"a" * 8000) * 5,
    "9 KB in one": b"X: %s\r\n" % (b"a" * 9000),
    "1 MB in one": b"X: %s\r\n" % (b"a" * MIB),
    "9 KB of name": b"%s: a\r\n" % (b"X" * 9000),
    "9 KB without an end": b"X: %s" % (b"a" * 9000),
    "folded 1,000 times": b"X: a\r\n" + b" a\r\n" * 1000,
    "1,000 cookies": b"Cookie: a=b\r\n" * 1000,
    "1,000 ids": b"X-Request-ID: a\r\n" * 1000,
    "1,000 lengths": b"Content-Length: 17\r\n" * 1000,
}

PASSING = ("97 headers", "40 KB in five")  # gunicorn's own limits are wider than nginx's


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_headers_is_refused_and_leaves_nothing_behind(way, name):
    """400 or 431 in the one shape; what a worker takes of memory does not grow with it."""
    request = lines(b"GET /livez HTTP/1.1", b"Host: tepal", CLOSE, FLOODS[name])[:-2]
    before = sum(map(resident, way.api.workers()))

    for _ in range(5):
        heard = converse(way.port, request, idle=IDLE)
        for received in heard.answers:
            assert received.status in (400, 431) or (name in PASSING and received.status == 200)
            assert received.status == 200 or error_of(received)

    assert sum(map(resident, way.api.workers())) - before < 20 * MIB


def resident(process: int) -> int:
    """The memory of a process, in bytes."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


SPLITS = [
    b"%0d%0aX-Evil:%20a",
    b"%0aX-Evil:a",
    b"%0dX-Evil:a",
    b"%e5%98%8d%e5%98%8aX-Evil:a",
    b"\\r\\nX-Evil:a",
    b"%u000aX-Evil:a",
]


@pytest.mark.parametrize("split", SPLITS)
def test_no_answer_can_be_split(way, split):
    """What a client writes into path, query, type, id or a column's name makes no header."""
    body = b'{"a\\r\\nX-Evil: a":1}'
    for request in (
        get(CLOSE, first=b"GET /%s HTTP/1.1" % split),
        get(CLOSE, first=b"GET /models/%s HTTP/1.1" % split),
        to(b"/predict?strict=%s" % split, ROW),
        to(b"/models/%s/predict" % split, ROW),
        to(b"/predict", body, b"Accept: " + split),
        to(b"/predict", body, b"Content-Type: " + split),
        get(CLOSE, b"X-Request-ID: " + split),
        get(CLOSE, b"If-None-Match: " + split),
    ):
        received = ask(way, request, split.decode())

        assert received.status in (200, 400, 404, 415, 422)
        assert b"x-evil" not in b"".join(name.encode() for name, _ in received.headers)


@pytest.mark.parametrize(
    "host", [b"evil.example", b"127.0.0.1:1@evil", b'"><script>alert(1)</script>', b"a';alert(1);'", b"[::1]"]
)
def test_no_host_can_write_into_the_page(way, host):
    """The page of a browser is the same whatever host it was asked at, or the host is refused."""
    request = lines(b"GET / HTTP/1.1", b"Host: " + host, b"X-Request-ID: host", CLOSE, b"Accept: text/html")

    received = ask(way, request)

    assert received.status in (200, 400)
    assert b"alert(1)" not in received.body
    if received.status == 200:
        assert received.body == (home.PLACE / "index.html").read_bytes()


SPOOFS = [
    *(b"X-Forwarded-For: 10.0.0.1", b"X-Forwarded-Host: evil", b"X-Forwarded-Proto: https", b"X-Forwarded-Prefix: /evil"),
    *(
        b"X-Forwarded-Port: 1",
        b"X-Real-IP: 10.0.0.1",
        b"Forwarded: for=10.0.0.1;host=evil;proto=https",
        b"X-Original-URL: /",
    ),
    *(b"X-Rewrite-URL: /", b"X-HTTP-Method-Override: POST", b"X-Forwarded-Ssl: on", b"X-Forwarded-Protocol: ssl"),
    *(
        b"Remote-Addr: 10.0.0.1",
        b"REMOTE_ADDR: 10.0.0.1",
        b"SCRIPT_NAME: /evil",
        b"True-Client-IP: 10.0.0.1",
        b"Proxy: http://evil",
    ),
]


def test_what_a_client_says_of_itself_changes_nothing(way):
    """Not the answer, not the address in the log, not the path."""
    plain = ask(way, get(CLOSE, first=b"GET /models HTTP/1.1"), "plain")
    for spoof in [*SPOOFS, b"\r\n".join(SPOOFS[:4])]:
        spoofed = ask(way, get(CLOSE, spoof, first=b"GET /models HTTP/1.1"), "plain")

        assert (spoofed.status, spoofed.body) == (200, plain.body), spoof
        assert sorted(spoofed.headers) == sorted(plain.headers) or spoofed.all("date") != plain.all("date")


def test_what_a_client_says_of_itself_ends_at_the_door():
    """Behind nginx the API hears of address and scheme what nginx has seen, once, and nothing else."""
    with (
        socket.create_server(("127.0.0.1", 0)) as upstream,
        servers.nginx([f"127.0.0.1:{upstream.getsockname()[1]}"]) as door,
        socket.create_connection(("127.0.0.1", door.port)) as client,
    ):
        client.sendall(get(CLOSE, *SPOOFS))
        heard, _ = upstream.accept()
        with heard:
            head = heard.recv(65536).decode().lower().split("\r\n")
    told = {line for line in head if re.match("x-forwarded|forwarded|x-real-ip|connection|remote|script", line)}

    assert told == {"x-forwarded-for: 127.0.0.1", "remote-addr: 10.0.0.1"}


HOSTILE = [
    *(
        b"\x1b[31mred",
        b"\xff\xfe",
        b"\x9b31m",
        b"${jndi:ldap://a/b}",
        b'","status":"200',
        b"a" * 8000,
        b"%0d%0aa",
        b"\\u000a",
        b"\\",
        b'"',
    ),
    *("\u2028\u202e".encode(), b"{}", b"%s%n", b"\t", b"<script>", b"'; DROP TABLE log;--", b"\xed\xa0\x80"),
]


def test_every_line_of_every_log_is_one_object_of_printable_json(way):
    """Whatever is in id, agent, path, query, model, method, host or body: a program can read the log, a terminal show it."""
    log = LogReader(*way.servers)
    asked = 0
    for text in HOSTILE:
        encoded = quote(text).encode()
        for request in (
            get(CLOSE, b"User-Agent: " + text, b"Referer: " + text),
            get(CLOSE, first=b"GET /" + encoded + b" HTTP/1.1"),
            get(CLOSE, first=b"GET /" + text + b" HTTP/1.1"),
            get(CLOSE, first=b"GET /livez?a=" + text + b" HTTP/1.1"),
            get(CLOSE, first=b"GET /models/" + encoded + b" HTTP/1.1"),
            get(CLOSE, first=text[:15] + b" /livez HTTP/1.1"),
            get(CLOSE, first=b"GET /livez HTTP/" + text),
            get(text + b": a"),
            get(b"Content-Length: " + text),
            post(b"Transfer-Encoding: " + text),
            post(TE, body=text + b"\r\n"),
            lines(b"GET /livez HTTP/1.1", b"Host: " + text, CLOSE),
            lines(b"GET /livez HTTP/1.1", b"Host: tepal", CLOSE, b"X-Request-ID: " + text),
            to(b"/models/people/predict", record(json.dumps(text.decode("latin-1")).encode())),
            to(b"/models/%s/versions/%s/predict" % (encoded, encoded), ROW, b"Content-Type: " + text),
        ):
            converse(way.port, request.replace(b"{id}", b"log"), idle=0.05)
            asked += 1

    assert len(log.lines()) >= asked / 2
    for line in log.lines():
        assert isinstance(line["time"], str)
        assert (
            all(word not in json.dumps(line) for word in ("jndi", "DROP TABLE", "script", "aaaaaaaa")) or "exception" in line
        )


def mutated(seed: int) -> bytes:
    """A request of the battery with a few bytes changed, cut, doubled or put in from elsewhere."""
    choose = random.Random(seed)
    request = bytearray(choose.choice(CASES).bytes_for("random")[:4000])
    for _ in range(choose.randint(1, 6)):
        place, length = choose.randrange(len(request) + 1), choose.choice([1, 1, 2, 8, 40])
        match choose.randrange(5):
            case 0:
                request[place : place + length] = choose.randbytes(length)
            case 1:
                del request[place : place + length]
            case 2:
                request[place:place] = request[place : place + length]
            case 3:
                request[place:place] = choose.choice(
                    [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"%", b"\xff", b"0", b"{", b"["]
                )
            case 4:
                request[place:place] = choose.choice(CASES).bytes_for("random")[:200]
    return bytes(request)


def test_random_bytes_get_an_answer_of_the_contract_or_none(way):
    """Never 500, never an answer that is none, never a worker less."""
    start = random.randrange(10**9)
    for seed in range(start, start + EXAMPLES):
        heard = converse(way.port, mutated(seed), idle=0.01, heads=1 if b"HEAD " in mutated(seed) else 0)
        for received in heard.answers:
            assert received.status < 500 or received.status in (501, 505), seed
            assert {name for name, _ in received.headers} <= KNOWN_HEADERS, seed
            if received.status >= 400 and received.body:
                error_of(received)


def test_honest_clients_notice_nothing(way):
    """While others send the whole battery and random bytes, each request of theirs gets its own right answer."""
    with Load(way.port, rate=100, connections=10, allowed=(503,)) as load:
        for number, request in enumerate([*(case.bytes_for("storm") for case in CASES), *map(mutated, range(EXAMPLES))]):
            converse(way.port, request + INNER, idle=0.01, heads=number % 2)

    assert load.failures == []
    assert load.sent > 100


COSTLY = {
    **{name: to(b"/predict", body) for name, (body, status) in TEXTS.items() if status != 200 and len(body) > 50_000},
    **{
        name: to(b"/predict", body, b"Content-Encoding: gzip")
        for name, (_, body, _) in ENCODED.items()
        if len(body) > 50_000
    },
    **{
        name: to(b"/predict", body, b"Content-Type: " + media)
        for name, (media, body, _) in FORMATS.items()
        if len(body) > 50_000
    },
    "too large": to(b"/predict", b" " * (MIB + 1)),
    "4 times too large": to(b"/predict", b" " * 4 * MIB),
    "a value in a vector": to(b"/predict", b"[" + b",".join([b"0"] * 500_000) + b"]"),
    "350,000 empty records": to(b"/predict", b"[" + b",".join([b"{}"] * 349_000) + b"]"),
    "350,000 empty vectors": to(b"/predict", b"[" + b",".join([b"[]"] * 349_000) + b"]"),
    "80,000 rows of null": to(b"/predict", b"[" + b",".join([b"[null,0,0,0]"] * 80_000) + b"]"),
    "80,000 keys": to(b"/predict", json.dumps(dict.fromkeys(map(str, range(80_000)), 0)).encode()),
    "an unknown path of 8 KB": get(CLOSE, first=b"GET /%s HTTP/1.1" % (b"a/" * 4000)),
    "an unknown model of 8 KB": get(CLOSE, first=b"GET /models/%s HTTP/1.1" % (b"a" * 8000)),
    "a query of 8 KB": get(CLOSE, first=b"GET /predict?%s HTTP/1.1" % (b"a&" * 4000)),
    "10,000 chunks": post(CLOSE, TE, body=b"1\r\n \r\n" * 10_000 + b"0\r\n\r\n"),
    "an Accept of 8 KB": to(b"/predict", b"[]", b"Accept: " + b"a/b," * 2000),
    "a type of 8 KB": to(b"/predict", b"[]", b"Content-Type: a/b" + b';a="\\"' * 1000),
}


@pytest.mark.parametrize("name", COSTLY, ids=ascii)
def test_a_refusal_costs_little(small, name):
    """Whoever sends nonsense takes no more of a core than 0.1 s of this machine, measured in its own loops."""
    costs = []
    for _ in range(5):
        before = cpu_of(small)
        heard = converse(small.port, COSTLY[name].replace(b"{id}", b"costly"))
        costs.append(cpu_of(small) - before)
        assert all(received.status >= 400 for received in heard.answers)

    assert min(costs) < 1.5 * tenth()  # the rest is what the machine's other work costs it


def cpu_of(server) -> float:
    """Seconds of CPU that the workers of a server have used."""
    fields = [Path(f"/proc/{worker}/stat").read_text().rpartition(") ")[2].split() for worker in server.workers()]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def tenth() -> float:
    """What a loop of 0.1 s on a common machine takes here and now."""
    start = time.process_time()
    for _ in range(8_000_000):
        pass
    return time.process_time() - start
