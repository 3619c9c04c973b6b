"""The page's files as the service sends them: to whom, how, and what they may load."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from api.pages import home
from tests.transports import in_process
from tests.wire import request

ROOT = Path(__file__).parents[3]
STATIC = home.PLACE


def get(app, path: str, **headers: str):
    return in_process(app)(request("GET", path, **headers))


def test_a_browser_gets_the_page_and_everyone_else_json(app):
    assert get(app, "/", accept="text/html,application/xhtml+xml,*/*;q=0.8").body.startswith(b"<!doctype html>")
    assert get(app, "/", accept="*/*").json["status"] == "alive"
    assert get(app, "/").json["status"] == "alive"


def test_the_page_may_load_from_here_alone(app):
    headers = get(app, "/", accept="text/html").headers

    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["vary"] == "Accept, Accept-Encoding"


def test_everything_that_a_file_names_is_there(app):
    for file in STATIC.iterdir():
        text = file.read_text()
        for name in re.findall(r'(?:from|import|href=|src=)\s*"(?:\./|page/)([\w.]+)"', text):
            assert get(app, f"/page/{name}").status == 200, (file.name, name)
        if file.suffix != ".svg":
            assert not re.search(r"https?://(?!www\.w3\.org/2000/svg|numpy\.org/doc)", text), file.name
    page = (STATIC / "index.html").read_text()
    modules = {file.name for file in STATIC.glob("*.js")} - {"theme.js", "page.js"}
    assert set(re.findall(r'modulepreload" href="page/([\w.]+)"', page)) == modules


def test_no_file_writes_markup():
    """Trusted Types refuse it too, where a browser knows them."""
    for file in STATIC.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write\b|\beval\(|new Function", file.read_text()
        ), file


def test_the_files_are_small():
    assert sum(file.stat().st_size for file in STATIC.iterdir()) < 100_000


def test_its_picture_is_small_and_near_the_top_of_the_readme():
    readme = (ROOT / "README.md").read_text()

    assert (ROOT / "docs" / "page.png").stat().st_size < 150_000
    assert readme.index("(docs/page.png)") < len(readme) / 3


@pytest.mark.parametrize(
    ("accept", "zipped"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1, GZIP ; q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0", False),
        ("identity", False),
        ("", False),
    ],
)
def test_gzip_where_it_is_taken(app, accept, zipped):
    received = get(app, "/page/page.js", **({"accept_encoding": accept} if accept else {}))

    assert ("content-encoding" in received.headers) is zipped
    assert received.headers["vary"] == "Accept-Encoding"
    body = gzip.decompress(received.body) if zipped else received.body
    assert body == (STATIC / "page.js").read_bytes()


def test_a_file_that_did_not_change_is_not_sent_again(app):
    tag = get(app, "/page/page.css").headers["etag"]

    assert get(app, "/page/page.css", if_none_match=tag).status == 304
    assert get(app, "/page/page.css", if_none_match=tag, accept_encoding="gzip").status == 200


@pytest.mark.parametrize("name", ["nothing.js", "home.py", "..", "index.html%00", "%2e%2e%2fhome.py"])
def test_no_other_file_is_sent(app, name):
    received = get(app, f"/page/{name}")

    assert (received.status, received.json["code"]) == (404, "not_found")
