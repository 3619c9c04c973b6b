"""Content-Encoding: inflated once, with a bound, whole or not at all."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib

import pytest

from api.encoding import inflate
from api.errors import BodyTooLarge, UnsupportedMediaType
from tepal import Malformed
from tests.wire import request

MIB = 1024 * 1024


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_a_body_without_encoding_is_itself(encoding):
    assert inflate(b"x", encoding, 1) == b"x"


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP "])
def test_a_gzip_is_inflated_every_member(encoding):
    assert inflate(gzip.compress(b"ab") + gzip.compress(b"") + gzip.compress(b"c"), encoding, 1) == b"abc"


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip,identity", "gzip;q=1", "*"])
def test_any_other_encoding_is_not_read(encoding):
    with pytest.raises(UnsupportedMediaType, match="Content-Encoding"):
        inflate(gzip.compress(b"x"), encoding, 1)


@pytest.mark.parametrize(
    "body", [b"x", gzip.compress(b"x")[:-1], gzip.compress(b"x")[:5], gzip.compress(b"x") + b"x", zlib.compress(b"x")]
)
def test_what_is_no_whole_gzip_is_malformed(body):
    with pytest.raises(Malformed, match="no whole gzip"):
        inflate(body, "gzip", 1)


def test_a_wrong_checksum_is_malformed():
    body = bytearray(gzip.compress(b"x"))
    body[-5] ^= 1

    with pytest.raises(Malformed):
        inflate(bytes(body), "gzip", 1)


def test_exactly_the_limit_is_inflated_and_one_byte_more_is_not():
    assert len(inflate(gzip.compress(bytes(MIB)), "gzip", 1)) == MIB
    for bomb in (
        gzip.compress(bytes(MIB + 1)),
        gzip.compress(bytes(MIB)) + gzip.compress(b"x"),
        gzip.compress(bytes(64 * MIB)),
    ):
        with pytest.raises(BodyTooLarge, match=r"1 MiB.*MAX_BODY_MB"):
            inflate(bomb, "gzip", 1)


def test_a_bomb_takes_no_more_memory_than_the_limit():
    bomb = gzip.compress(bytes(64 * MIB))
    tracemalloc.start()

    with pytest.raises(BodyTooLarge):
        inflate(bomb, "gzip", 1)

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * MIB


def test_a_thousand_members_are_read_and_more_are_not():
    assert inflate(gzip.compress(b"") * 999 + gzip.compress(b"x"), "gzip", 1) == b"x"
    with pytest.raises(Malformed):
        inflate(gzip.compress(b"") * 800_000, "gzip", 16)


def test_a_member_longer_than_a_block_is_whole():
    data = random.Random(1).randbytes(300_000)

    assert inflate(gzip.compress(data) + gzip.compress(data), "gzip", 1) == data + data


def test_a_bomb_over_the_wire(transport):
    received = transport(request("POST", "/predict", gzip.compress(bytes(17 * MIB)), content_encoding="gzip"))

    assert (received.status, received.json["code"]) == (413, "body_too_large")
