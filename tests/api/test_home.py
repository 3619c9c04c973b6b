"""The page at / in a real browser, and what it may load: nothing."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

import tepal
from api.pages import home
from tepal import Repository, choice
from tests.parts import need
from tests.transports import over_http
from tests.wire import request


def page(port: int) -> tuple[str, dict[str, str]]:
    received = over_http(port)(request("GET", "/", accept="text/html"))
    return received.body.decode(), received.headers


def test_every_command_on_the_page_answers_what_the_page_says(served):
    html, _ = page(served.port)
    commands = re.findall(r"<pre>(curl.*?)</pre>", html, re.DOTALL)
    answers = re.findall(r"It answers (.*?)\. <a", html)
    assert len(commands) == len(answers) == 6

    for command, answer in zip(commands, answers):
        text = command.replace("&#34;", '"').replace("&#39;", "'")
        output = subprocess.run(shlex.split(text), capture_output=True, text=True, check=True).stdout
        assert f'"predictions":[{answer.replace("&#34;", chr(34))}]' in output


def test_the_page_may_load_nothing_and_needs_no_script(served):
    html, headers = page(served.port)

    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in html
    assert not re.search(r"""(src|href)=["'](https?:)?//""", html)


def test_a_clients_host_header_cannot_write_into_the_page(served):
    received = over_http(served.port)(request("GET", "/", accept="text/html", host='"><script>alert(1)</script>'))

    assert b"<script>" not in received.body


@pytest.mark.parametrize("width", [400, 1200])
def test_a_browser_shows_it_styled_and_within_its_width(served, width, tmp_path):
    """Chromium applies the style sheet, which the page's own policy must allow, and nothing overflows."""
    probe = tmp_path / "probe.html"
    html, headers = page(served.port)
    policy = (
        headers["content-security-policy"]
        .replace("frame-ancestors 'none'", "")
        .replace("default-src 'none'", "script-src 'unsafe-inline'")
    )
    script = (
        "<script>onload = () => { const seen = getComputedStyle(document.querySelector('article')).borderTopWidth;"
        " document.title = `border ${seen} overflow ${document.documentElement.scrollWidth > innerWidth}`; }</script>"
    )
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    probe.write_text(html.replace("<head>", f"<head>{meta}").replace("</body>", f"{script}</body>"))

    command = [
        need("chromium"),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--window-size={width},900",
        "--dump-dom",
        f"file://{probe}",
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    assert "<title>border 1px overflow false</title>" in shown


def test_it_shows_which_version_was_chosen(store, tmp_path):
    copy = shutil.copytree(store, tmp_path / "store")
    assert "pinned" not in home.page(Repository.open(copy), "http://127.0.0.1").body.decode()
    choice.promote(copy / "iris", "1")

    html = home.page(Repository.open(copy), "http://127.0.0.1").body.decode()

    assert '<span class="tag">version 1</span><span class="tag">pinned</span>' in html


class Before(RegressorMixin, BaseEstimator):
    """Answers a row with the value of the row before it."""

    def fit(self, X, y=None):
        self.n_features_in_ = 1
        return self

    def predict(self, X):
        return np.concatenate([[np.nan], np.asarray(X, dtype=float)[:-1, 0]])


def test_a_sequence_shows_what_its_last_row_gets(tmp_path):
    rows = np.arange(100.0).reshape(-1, 1)
    tepal.publish(Before().fit(rows), name="before", X=rows, rows="sequence", store=tmp_path)

    html = home.page(Repository.open(tmp_path), "http://127.0.0.1:8080").body.decode()

    assert "It answers 98.0 to the last row." in html
