"""Every wire case, over every transport: the same request gets the same answer."""

from __future__ import annotations

import json

import pytest

from tests import wire


@pytest.mark.parametrize("case", wire.cases(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_request_gets_the_answer_beside_it(case, transport):
    received = transport(wire.read_request(case))

    wire.check(received, json.loads(case.with_suffix(".json").read_text()))
