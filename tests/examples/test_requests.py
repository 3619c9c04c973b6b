"""The file for the REST clients of editors is what the code writes, and each of its requests is answered as it says."""

from __future__ import annotations

import re

import pytest

from api import requests_http
from tests.servers import ROOT
from tests.transports import in_process
from tests.wire import request

TEXT = (ROOT / "examples" / "requests.http").read_text()
BLOCKS = TEXT.split("\n### ")[1:]


def test_it_is_what_the_code_writes(repository):
    """`make requests` writes it again."""
    assert requests_http.text(repository.find("iris").manifest) == TEXT


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[0] for block in BLOCKS])
def test_each_request_is_answered(app, block):
    title, line, *rest = block.rstrip("\n").split("\n")
    method, path = re.fullmatch(r"(GET|POST) \{\{baseUrl\}\}(/\S+)", line).groups()
    headers, _, body = "\n".join(rest).partition("\n\n")
    named = dict(header.split(": ") for header in headers.splitlines())

    received = in_process(app)(request(method, path, body, **{key.replace("-", "_"): value for key, value in named.items()}))

    assert received.status == (422 if "missing" in title else 200), received.body
