"""One request in, one request seen: nobody can hide a second one in the bytes of the first."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.stack.desync import CASES, CHUNKS, INNER, SECOND, TE, Case, get, post
from tests.stack.raw import IDLE, PATIENCE, LogReader, Way, converse, error_of

# Whose answers came before the next request's, as the words of ``desync.py``.
WORDS = {("first",): "one", ("?",): "one", ("first", "second"): "two"}
pytestmark = pytest.mark.usefixtures("unharmed")
NUMBERED = [pytest.param(number, case, id=case.name) for number, case in enumerate(CASES)]


@pytest.mark.parametrize(("number", "case"), NUMBERED)
def test_what_the_api_sees_is_what_was_accepted(way, number, case):
    """A client gets the answers to its own requests, each once, and nobody else's; a refusal has the one shape."""
    identity = f"{way.name[0]}{number}"
    expected = case.expected_of(way.name)

    found = happened(way, case, identity, IDLE if "waits" in expected else PATIENCE)

    assert found & set(expected), (found, expected)
    assert_answered(way, f"{identity}-fresh")


def happened(way: Way, case, identity: str, idle: float) -> set[str]:
    """Send a case, then a well-formed request on the same connection: the words of ``desync.py`` that are true of it.

    Asserts on the way what is true of them all.
    """
    log = LogReader(way.api)
    following = b"GET /%s HTTP/1.1\r\nHost: tepal\r\nX-Request-ID: %s-next\r\nConnection: close\r\n\r\n"
    following = following.replace(b"%s", identity.encode())
    heard = converse(way.port, case.bytes_for(identity) + following, heads=case.heads, idle=idle)
    seen = {line["request_id"]: line["status"] for line in log.of(f"{identity}-") if "status" in line}
    counted = Counter(line["request_id"] for line in log.of(f"{identity}-") if "duration_ms" in line)

    assert f"{identity}-smuggled" not in seen
    assert set(counted.values()) <= {1}, "the API has seen a request twice"
    for place, answer in enumerate(heard.answers):
        assert answer.identity != f"{identity}-smuggled"
        if answer.status >= 400 and place >= case.heads:
            error_of(answer)
        else:
            assert seen[answer.identity] == answer.status, "an answer to a request that the API has not seen"
    answered = [named(answer, identity) for answer in heard.answers]
    computed = {name.removeprefix(f"{identity}-") for name, status in seen.items() if status < 400}
    if heard.rest:  # an answer in HTTP/0.9 has no head
        assert b"HTTP/" not in heard.rest
        assert not heard.answers
        return {"last"}
    if answered[-1:] == ["next"]:
        assert identity in error_of(heard.answers[-1])["error"], "another request's answer"
        return {WORDS.get(tuple(answered[:-1]), f"answers to {answered}")}
    if not heard.closed and computed == {"first"} and "last chunk" in case.name:
        return {"swallows"}
    if not heard.closed:
        assert not computed, "an answer was computed for a body that did not fully arrive"
        return {"waits"}
    if (
        len(answered) == 2
        and answered[0] == "first"
        and answered[1] not in {name.removeprefix(f"{identity}-") for name in seen}
    ):
        return {"leftover"}
    words = {"refused"} if len(answered) <= 1 and not computed else set()
    return words | ({"last"} if answered == ["first"] and f"{identity}-first" in seen else set())


def named(answer, identity: str) -> str:
    """Which of a case's requests an answer is to; "?" where nobody got as far as to read an id."""
    before, found, name = answer.identity.partition(f"{identity}-")
    return name if found and not before else "?"


def assert_answered(way: Way, identity: str) -> None:
    """The next client's request gets its own answer."""
    heard = converse(
        way.port,
        f"GET /{identity} HTTP/1.1\r\nHost: tepal\r\nX-Request-ID: {identity}\r\nConnection: close\r\n\r\n".encode(),
    )

    (answer,) = heard.answers
    assert answer.identity == identity
    assert identity in error_of(answer)["error"]


def test_there_are_as_many_cases_as_promised():
    """Each under a name of its own."""
    assert len({case.name for case in CASES}) == len(CASES) >= 300
    assert sum(b"smuggled" in case.bytes_for("") for case in CASES) >= 40


CHUNKED = post(TE, body=b"5;a=b\r\n[5.9,\r\nC\r\n3.0,5.1,1.8]\r\n0\r\nX-Sum: 1\r\n\r\n")
BROKEN = post(TE, b"Content-Length: 17", body=CHUNKS)


@pytest.mark.parametrize(("request_", "expected"), [(CHUNKED, [200, 404]), (BROKEN, [400])], ids=["chunks", "CL.TE"])
def test_it_is_the_same_request_in_any_two_packets(way, request_, expected):
    """Where the network cuts a request makes no difference to how it is read."""
    whole = request_.replace(b"{id}", b"cut") + SECOND.replace(b"tepal", b"tepal\r\nConnection: close")
    for cut in range(1, len(whole)):
        assert converse(way.port, whole.replace(b"{id}", b"cut"), cut=cut).statuses == expected, whole[:cut]


def test_a_thousand_requests_in_one_packet_are_answered_in_their_order(way):
    """Each as its own, until the server says that it closes."""
    following = b"".join(get().replace(b"{id}", b"in-order-%d" % number) for number in range(1000))
    heard = converse(way.port, following + get(b"Connection: close").replace(b"{id}", b"in-order-1000"))

    assert [answer.identity for answer in heard.answers] == [f"in-order-{n}-first" for n in range(len(heard.answers))]
    assert heard.answers[-1].all("connection") == ["close"]
    assert len(heard.answers) >= 100


def test_nobody_has_answered_what_was_hidden(small):
    """Not late, and not on anybody else's connection either: no request of the whole battery that was hidden in another."""
    assert not re.search(rb'"[gn][0-9]+-smuggled"', small.log.read_bytes())


def test_a_hidden_request_that_is_answered_would_be_found(way):
    """The battery can fail: here the second request is in plain sight."""
    case = Case("in plain sight", get() + INNER, "one")

    with pytest.raises(AssertionError):
        happened(way, case, f"control-{way.name[0]}", PATIENCE)
