"""The page at /docs in a real browser, through nginx: what is tried is answered, and nothing comes from elsewhere."""

from __future__ import annotations

import gzip
import re
from importlib import resources

import pytest
from playwright.sync_api import expect, sync_playwright

from api.pages import docs
from tests.parts import need
from tests.transports import in_process
from tests.wire import request


class Watched:
    """A page that notes what it asks for, and what it complains of."""

    def __init__(self, page):
        self.page = page
        self.asked: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda asked: self.asked.append(asked.url))
        page.on("console", lambda line: self.said.append(line.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))


@pytest.fixture(name="watched")
def _watched():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=["--no-sandbox"])
        yield Watched(browser.new_page())
        browser.close()


def try_it(page, operation):
    """What the server answers to the first click on Try it out, and one on Execute."""
    block = page.locator(f"#operations-{operation}")
    block.click()
    block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table .response").first
    expect(answer.locator(".response-col_status")).to_have_text(re.compile("200"))
    return answer.locator(".microlight, code").first.inner_text()


def test_what_is_tried_is_answered_and_nothing_comes_from_elsewhere(watched, door):
    watched.page.goto(f"{door.url}/docs")

    assert '"versicolor"' in try_it(watched.page, "Predict-predict")
    assert '"people"' in try_it(watched.page, "people-query_people")

    assert watched.said == []
    assert {url for url in watched.asked if not url.startswith((f"{door.url}/", "data:"))} == set()


def test_the_page_and_its_files_may_load_nothing_else(transport):
    page = transport(request("GET", "/docs"))

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in page.headers["content-security-policy"]
    html = page.body.decode()
    assert "<script>" not in html
    assert "style=" not in html
    named = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert {f"docs/{name}" for name in docs.FILES} == set(named)
    for name in named:
        assert transport(request("GET", f"/{name}")).status == 200


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip, deflate, br", True),
        ("*", True),
        ("br;q=1, gzip;q=0.5", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
    ],
)
def test_a_file_is_gzipped_where_the_client_takes_that(app, accepted, zipped):
    send = in_process(app)
    whole = (resources.files("flask_swagger_ui") / "dist" / "swagger-ui-bundle.js").read_bytes()

    received = send(request("GET", "/docs/swagger-ui-bundle.js", accept_encoding=accepted))

    assert received.headers["vary"] == "Accept-Encoding"
    assert (received.headers.get("content-encoding") == "gzip") is zipped
    assert (gzip.decompress(received.body) if zipped else received.body) == whole


def test_a_file_is_sent_once_for_as_long_as_it_is_the_same(transport):
    first = transport(request("GET", "/docs/swagger-ui.css", accept_encoding="gzip"))

    again = transport(request("GET", "/docs/swagger-ui.css", accept_encoding="gzip", if_none_match=first.headers["etag"]))

    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("name", ["index.css", "..%2Fdocs.py", "%2e%2e/docs.py", "swagger-ui.js", ""])
def test_there_is_no_other_file(app, name):
    assert in_process(app)(request("GET", f"/docs/{name}")).status == 404
