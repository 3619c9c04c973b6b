"""The collection for Postman: its own assertions hold, run by Node; and its shape is that of v2.1."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from api import postman
from tests import servers
from tests.parts import need
from tests.transports import in_process, over_http
from tests.wire import request

RUNNER = Path(__file__).parents[1] / "postman.mjs"


def run(collection, tmp_path):
    """What came of each test of the collection, sent where its variable says."""
    node = need("node")
    file = tmp_path / "collection.json"
    file.write_text(json.dumps(collection))
    done = subprocess.run([node, RUNNER, file], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def fetched(port):
    return over_http(port)(request("GET", "/postman_collection.json")).json


def test_each_assertion_holds_through_nginx(door, tmp_path):
    """`baseUrl` is where the collection was asked for, so it runs as it is."""
    found = run(fetched(door.port), tmp_path)

    assert [one for one in found if one["failure"]] == []
    assert {one["folder"] for one in found} == {"Service", "iris", "iris-logistic", "people", "stall", "temper", "words"}
    assert {one["name"] for one in found if one["folder"] == "people"} == {
        "A record",
        "A vector",
        "A batch of vectors",
        "CSV",
        "The card",
        "A column is missing",
    }


def test_each_assertion_holds_for_models_of_odd_kinds(odd, tmp_path):
    """Several outputs, a sequence, columns with odd names."""
    with servers.gunicorn(odd) as server:
        found = run(fetched(server.port), tmp_path)

    assert [one for one in found if one["failure"]] == []
    assert len(found) > 60


@pytest.mark.parametrize(
    ("before", "after", "title"),
    [
        ("status(200)", "status(201)", "the status is 200"),
        ('eql("', 'eql("not ', "it answers as when it was published"),
        ("X-Request-ID", "X-Nobody", "it has an id"),
    ],
)
def test_an_assertion_can_fail(served, tmp_path, before, after, title):
    changed = json.loads(json.dumps(fetched(served.port)).replace(json.dumps(before)[1:-1], json.dumps(after)[1:-1]))

    assert title in {one["title"] for one in run(changed, tmp_path) if one["failure"]}


def test_its_shape_is_that_of_a_collection(repository):
    """As the schema of v2.1 has it, in the parts that are used."""
    collection = postman.make(repository)

    assert collection["info"]["schema"] == "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    assert set(collection) == {"info", "variable", "item"}
    items = [item for folder in collection["item"] for item in folder["item"]]
    for item in items:
        assert set(item) == {"name", "request", "response", "event"}
        assert item["response"] == []
        called = item["request"]
        assert called["method"] in ("GET", "POST")
        assert called["url"]["raw"] == "/".join([*called["url"]["host"], *called["url"]["path"]])
        assert all(set(header) == {"key", "value"} for header in called["header"])
        assert called.get("body", {"mode": "raw"})["mode"] == "raw"
        assert [event["listen"] for event in item["event"]] == ["test"]
        assert all(isinstance(line, str) for line in item["event"][0]["script"]["exec"])


def test_a_host_cannot_write_into_the_collection(app):
    received = in_process(app)(request("GET", "/postman_collection.json", host='x","b":"'))

    assert received.status == 200
    assert [variable["key"] for variable in received.json["variable"]] == ["baseUrl"]
