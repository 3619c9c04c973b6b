"""Whatever comes, a protocol answers it or says what is wrong with it; nothing is ever our own fault."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tepal.wire import tensors
from tests.parts import EXAMPLES

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([2**63, -(2**70), 1e308])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
SIZES = st.integers(-1, 5) | st.just(2**70)
NAMES = st.sampled_from(["age", "height", "city", "plan", "member", "joined", "x", ""])


def kept(inner):
    """A value as it should be, most of the time; else any."""
    return st.one_of(inner, inner, inner, VALUES)


TENSOR = st.fixed_dictionaries(
    {
        "name": kept(NAMES),
        "datatype": kept(st.sampled_from([*tensors.RAW, "BYTES", "TEXT"])),
        "shape": kept(st.lists(SIZES, max_size=3) | st.sampled_from([[1, 4], [2, 4], [2], [1]])),
    },
    optional={
        "data": kept(st.lists(SCALARS, max_size=8) | st.lists(st.floats(), min_size=4, max_size=4)),
        "parameters": kept(st.fixed_dictionaries({}, optional={"binary_data_size": kept(st.integers(0, 40))})),
    },
)
INFERENCE = st.fixed_dictionaries(
    {"inputs": kept(st.lists(TENSOR, max_size=6))},
    optional={
        "id": VALUES,
        "outputs": kept(st.lists(st.fixed_dictionaries({"name": kept(st.sampled_from(["predict", "predict_proba"]))}))),
        "parameters": kept(st.fixed_dictionaries({"binary_data_output": st.booleans()})),
    },
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "instances": VALUES, "inputs": VALUES, "dataframe_split": VALUES, "dataframe_records": VALUES, "params": VALUES,
        "signature_name": kept(st.sampled_from(["serving_default", "predict_proba"])),
    },
)  # fmt: skip
PATHS = st.sampled_from(["/v1/models/iris:predict", "/v1/models/people:predict", "/v1/models/words:predict", "/invocations"])
unhurried = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(received):
    """An answer, or an error that is the caller's own, in the shape of every error."""
    assert received.status in (200, 400, 404, 415), received.body
    if received.status != 200:
        body = received.json
        assert body["error"]
        assert body["code"] in ("malformed_body", "invalid_input", "not_found", "unsupported_media_type")


@unhurried
@given(INFERENCE | VALUES, st.sampled_from(["iris-logistic", "people", "words"]), st.binary(max_size=40), st.booleans())
def test_v2(ask, value, model, raw, is_raw):
    head = json.dumps(value).encode()
    headers = {"inference_header_content_length": str(len(head))} if is_raw else {}

    check(ask("POST", f"/v2/models/{model}/infer", head + raw if is_raw else head, **headers))


@unhurried
@given(ROWS | VALUES, PATHS, st.sampled_from(["", "application/json", "application/jsonlines", "text/csv"]))
def test_rows(ask, value, path, type_):
    check(ask("POST", path, json.dumps(value), content_type=type_))


@unhurried
@given(st.binary(max_size=80), PATHS | st.just("/v2/models/iris/infer"))
def test_bytes(ask, body, path):
    check(ask("POST", path, body))
