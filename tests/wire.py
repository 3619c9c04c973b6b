"""Wire cases: a raw request in ``NAME.http`` beside the expected answer in ``NAME.json``."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

CASES = Path(__file__).parent / "api" / "cases"


class Sent(NamedTuple):
    """A request as it goes over the wire, headers in order."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


class Received(NamedTuple):
    """An answer as it came; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(method: str, target: str, body: bytes | str = b"", **headers: str) -> Sent:
    """A request with a Content-Length; ``content_type=…`` is the header Content-Type."""
    data = body.encode() if isinstance(body, str) else body
    named = [(name.replace("_", "-").title(), value) for name, value in headers.items()]
    if data or method == "POST":
        named.append(("Content-Length", str(len(data))))
    return Sent(method, target, named, data)


def read_request(path: Path) -> Sent:
    """A case's request: request line, headers, an empty line, the body up to one last newline."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    first, *lines = head.decode().splitlines()
    method, target = first.split()
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    body = body.removesuffix(b"\n")
    if method == "POST":
        headers.append(("Content-Length", str(len(body))))
    return Sent(method, target, headers, body)


def cases() -> list[Path]:
    """Every case, by its request file."""
    return sorted(CASES.glob("*/*.http"))


def check(received: Received, expected: dict[str, Any]) -> None:
    """Compare an answer with the expected one: status, headers that it names, and the whole body."""
    assert received.status == expected["status"], received.body
    for name, value in expected.get("headers", {}).items():
        assert received.headers.get(name.lower()) == value, name
    assert received.headers["x-request-id"]
    if "text" in expected:
        same_text(expected["text"], received.body.decode())
        return
    assert received.headers["content-type"] == "application/json"
    body = received.json
    if received.status >= 400:
        assert body.pop("request_id") == received.headers["x-request-id"]
    same(expected["json"], body, "$")


def same_text(expected: str, got: str) -> None:
    """Equal but for the last digits of fractions, which are within the tolerance of golden rows on another machine."""
    fraction = r"(\d+\.\d+(?:e-?\d+)?)"
    parts, others = re.split(fraction, expected), re.split(fraction, got)
    assert parts[::2] == others[::2], (expected, got)
    for one, other in zip(parts[1::2], others[1::2]):
        same(float(one), float(other), one)


def same(expected: Any, got: Any, where: str) -> None:
    """Equal values of equal types; floats within the tolerance of golden rows on another machine."""
    assert type(expected) is type(got), (where, expected, got)
    if isinstance(expected, dict):
        assert list(expected) == list(got), where
        for key, value in expected.items():
            same(value, got[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(expected) == len(got), (where, expected, got)
        for i, (one, other) in enumerate(zip(expected, got)):
            same(one, other, f"{where}[{i}]")
    elif isinstance(expected, float):
        assert math.isclose(expected, got, rel_tol=1e-9, abs_tol=1e-9), (where, expected, got)
    else:
        assert expected == got, where
