"""What Accept and Content-Type come to."""

from __future__ import annotations

import pytest

from api.errors import UnsupportedMediaType
from api.negotiate import answer_type, body_type

OFFERED = ("application/json", "text/plain")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/plain", "text/plain"),
        ("text/*", "text/plain"),
        ("TEXT/PLAIN ; Q=1.0", "text/plain"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json;q=0.2, text/plain;q=0.3", "text/plain"),
        ("text/plain, application/json", "text/plain"),
        ("application/json, text/plain", "application/json"),
        ("text/plain;q=0", "application/json"),
        ("text/plain;q=nonsense", "application/json"),
        ("text/plain;q=nan", "application/json"),
        ("image/png", "application/json"),
        ("application/json;q=0.1, */*;q=0.9", "text/plain"),
        ("*/*;q=0.9, application/json;q=0.1", "text/plain"),
        ("text/*;q=0.4, text/plain;q=0.6, application/json;q=0.5", "text/plain"),
        (",,;q=", "application/json"),
        ("text/plain;charset=utf-8;q=0.5", "text/plain"),
    ],
)
def test_the_best_offer_for_an_accept_header(accept, chosen):
    assert answer_type(accept, OFFERED) == chosen


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "Application/JSON; charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/x-www-form-urlencoded",
        "text/plain; charset=utf8",
        "application/octet-stream",
        "application/problem+json",
    ],
)
def test_types_that_hold_json_or_say_nothing(content_type):
    assert body_type(content_type) in ("json", None)


@pytest.mark.parametrize(
    ("content_type", "format_"),
    [
        ("application/vnd.api+json", "json"),
        ("text/csv; header=present", "csv"),
        ("Text/CSV;charset=UTF-8", "csv"),
        ("application/jsonlines", "jsonlines"),
        ("application/x-ndjson", "jsonlines"),
        ("application/x-npy", "npy"),
        ("application/vnd.apache.arrow.stream", "arrow"),
        ("application/vnd.apache.parquet", "parquet"),
        ("application/octet-stream", None),
        ("", None),
    ],
)
def test_types_that_name_a_format(content_type, format_):
    assert body_type(content_type) == format_


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        ("text/html", "Content-Type 'text/html'"),
        ("multipart/form-data; boundary=x", "multipart/form-data"),
        ("application/json; charset=utf-16", "charset 'utf-16'"),
        ("text/csv; charset=latin-1", "charset 'latin-1'"),
        ("application/x-npy; charset=utf-16", "charset 'utf-16'"),
        ("nonsense", "Content-Type"),
    ],
)
def test_types_that_are_not_read_here(content_type, message):
    with pytest.raises(UnsupportedMediaType, match=message):
        body_type(content_type)
