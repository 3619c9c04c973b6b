"""NaN and Infinity become JSON, and nothing else in a body changes."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tepal import Malformed
from tepal.wire import literals
from tests.parts import EXAMPLES


def test_an_infinite_number_is_known_when_it_is_read():
    """And no other one is."""
    read = msgspec.json.Decoder(float_hook=literals.number).decode

    assert read(literals.spelled(b"[Infinity,-Infinity,1.5]")) == [math.inf, -math.inf, 1.5]
    with pytest.raises(Malformed):
        read(b"[1e999]")


@pytest.mark.parametrize(
    ("body", "spelled"),
    [
        (b"[1,2]", b"[1,2]"),
        (b"[NaN]", b"[null]"),
        (b"[ NaN , NaN]", b"[ null , null]"),
        (b'{"a":Infinity,"b":-Infinity}', b'{"a":1e+00999,"b":-1e+00999}'),
        (b'["NaN","a \\" NaN",NaN]', b'["NaN","a \\" NaN",null]'),
        (b'{"NaN":"Infinity"}', b'{"NaN":"Infinity"}'),
        (b'["\\\\",NaN]', b'["\\\\",null]'),
        (b"[aNaN,NaNa,1Infinity,1.Infinity,nan]", b"[aNaN,NaNa,1Infinity,1.Infinity,nan]"),
        (b'["NaN', b'["NaN'),
        (b'"\\"NaN', b'"\\"NaN'),
    ],
)
def test_a_literal_is_spelled_as_json_has_it(body, spelled):
    assert literals.spelled(body) == spelled


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.sampled_from(["NaN", '"Infinity', "\\NaN"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["NaN", "-Infinity"]), inner),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(JSON)
def test_what_python_writes_is_read_as_python_reads_it(value):
    """NaN as null, and infinity where it stood: to Python, a number that is too large is that."""
    body = json.dumps(value, ensure_ascii=False).encode(errors="replace")

    constants = {"NaN": None, "Infinity": math.inf, "-Infinity": -math.inf}
    assert json.loads(literals.spelled(body)) == json.loads(body, parse_constant=constants.get)


def test_a_quote_that_never_ends_costs_no_more_for_its_length():
    """The pattern looks at each byte once: at each quote anew, this would be 10^11 steps."""
    body = b'NaN"' + b'\\"' * 500_000

    assert literals.spelled(body) == b"null" + body[3:]
