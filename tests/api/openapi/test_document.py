"""The description is OpenAPI 3.1, names every route, and says of each model what its signature says."""

from __future__ import annotations

import re
import shutil

import msgspec
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from sklearn.linear_model import LinearRegression

import tepal
from api import routes
from api.errors import TABLE
from api.negotiate import ARROW, PARQUET
from api.openapi import document
from tepal import Repository
from tepal.wire import arrow
from tests.transports import in_process
from tests.wire import request

ROUTES = [(route.method, route.path) for route in routes.ROUTES]


def describe(repository):
    """The description as a client gets it."""
    return msgspec.json.decode(msgspec.json.encode(document.make(repository, ROUTES)))


@pytest.fixture(scope="module", name="odd_repository")
def _odd_repository(odd):
    return Repository.open(odd)


@pytest.fixture(scope="module", name="described", params=["repository", "odd_repository", "empty", "one"])
def _described(request, tmp_path_factory, store):
    """Of ordinary models, of odd ones, of none, and of one alone."""
    if request.param == "empty":
        return describe(Repository())
    if request.param == "one":
        folder = tmp_path_factory.mktemp("one")
        shutil.copytree(store / "iris", folder / "iris")
        return describe(Repository.open(folder))
    return describe(request.getfixturevalue(request.param))


def operations(described):
    return [(method.upper(), path, op) for path, item in described["paths"].items() for method, op in item.items()]


def test_it_is_openapi(described):
    OpenAPIV31SpecValidator(described).validate()


def test_every_route_is_there_and_nothing_else(described):
    """A route with the name of a model is there for each model, or with the name left open."""
    found = {(method, routes.find(method, path)[0].path) for method, path, _ in operations(described)}

    assert found == set(ROUTES)


def test_each_operation_has_an_id_of_its_own(described):
    ids = [operation["operationId"] for _, _, operation in operations(described)]

    assert len(ids) == len(set(ids))


def test_each_operation_tells_of_every_other_error(described):
    for _, path, operation in operations(described):
        assert "default" in operation["responses"], path
        if path.endswith("/predict"):
            assert {"200", "400", "404", "422", "500", "503", "504"} <= set(operation["responses"]), path


def test_every_error_of_the_code_has_an_example(described):
    shown = {
        (int(name.removeprefix("Error")), code)
        for name, response in described["components"]["responses"].items()
        for code in response["content"]["application/json"].get("examples", ())
    }

    assert shown == {*TABLE.values(), (500, "internal_error")}


def examples(node):
    """Each example beside the schema that it must fit, and each among those of a schema."""
    if isinstance(node, dict):
        if "schema" in node and "example" in node:
            yield node["schema"], node["example"]
        if "schema" in node and isinstance(node.get("examples"), dict):
            yield from ((node["schema"], example["value"]) for example in node["examples"].values())
        if isinstance(node.get("examples"), list):
            yield from ((node, example) for example in node["examples"])
        for part in node.values():
            yield from examples(part)
    elif isinstance(node, list):
        for part in node:
            yield from examples(part)


def test_each_example_fits_its_schema(described):
    found = list(examples(described))
    assert found

    for schema, example in found:
        whole = {**schema, "components": described["components"]}
        if example != "":  # what a query has for null
            Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(example)


def test_a_model_is_told_with_its_own_columns(repository):
    """Names, types, ranges, categories, and what may be missing."""
    described = describe(repository)

    record = described["components"]["schemas"]["people.Record"]
    columns = record["properties"]
    assert record["required"] == ["age", "height", "city", "plan", "member", "joined"] == list(columns)
    assert columns["age"]["type"] == "integer"
    assert columns["age"]["x-seen"] == {"minimum": 18, "maximum": 89}
    assert columns["height"]["type"] == ["number", "null"]
    assert columns["city"]["enum"] == ["Amsterdam", "Berlin", "Copenhagen"]
    assert columns["plan"]["x-seen"] == {"categories": ["basic", "premium"]}
    assert "enum" not in columns["plan"]
    assert columns["member"]["type"] == "boolean"
    body = described["paths"]["/models/people/predict"]["post"]["requestBody"]["content"]
    texts, (npy, *columnar) = list(body)[:3], list(body)[3:]
    assert texts == ["application/json", "text/csv", "application/jsonlines"]
    assert npy == "application/x-npy"
    assert columnar == ([ARROW, PARQUET] if arrow.is_here() else [])
    query = described["paths"]["/models/people/predict"]["get"]["parameters"]
    assert [parameter["name"] for parameter in query if parameter.get("in") == "query"] == list(columns)


def test_the_name_is_left_open_only_where_every_model_takes_the_same(repository, store, tmp_path):
    assert "/models/{name}/predict" not in describe(repository)["paths"]
    for name in ("iris", "iris-logistic"):
        shutil.copytree(store / name, tmp_path / name)

    described = describe(Repository.open(tmp_path))

    (name, *_) = described["paths"]["/models/{name}/predict"]["post"]["parameters"]
    assert name["schema"]["enum"] == ["iris", "iris-logistic"]
    assert "/models/iris/predict" in described["paths"]


def test_versions_that_take_other_rows_are_told_one_by_one(odd_repository):
    described = describe(odd_repository)
    bodies = {
        path: operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for method, path, operation in operations(described)
        if method == "POST" and path.startswith("/models/range/")
    }

    assert bodies == {
        "/models/range/predict": "range.Body",
        "/models/range/versions/2/predict": "range.Body",
        "/models/range/versions/1/predict": "range.V1.Body",
    }


def test_a_version_trained_on_other_data_is_told_with_the_others(store, tmp_path):
    """Another range is no other schema: fifty trainings do not make fifty times the description."""
    for slope in (1, 2, 3):
        rows = np.arange(6.0).reshape(3, 2) * slope
        tepal.publish(LinearRegression().fit(rows, rows[:, 0]), name="line", X=rows, store=tmp_path)

    paths = describe(Repository.open(tmp_path))["paths"]

    (number,) = [p for p in paths["/models/line/versions/{version}/predict"]["post"]["parameters"] if p.get("in") == "path"]
    assert number["schema"]["enum"] == ["1", "2", "3"]
    assert not [path for path in paths if re.search("versions/[0-9]", path)]


def test_what_it_tells_of_an_answer_is_what_is_answered(app):
    """For each model, each shape of its example, and CSV: the answer that stands beside them."""
    send = in_process(app)
    described = send(request("GET", "/openapi.json")).json

    for path, item in described["paths"].items():
        if not re.fullmatch("/models/[^{]+/predict", path):
            continue
        content = item["post"]["requestBody"]["content"]
        told = item["post"]["responses"]["200"]["content"]["application/json"]["example"]
        bodies = [
            ("application/json", msgspec.json.encode(e["value"])) for e in content["application/json"]["examples"].values()
        ]
        bodies += [("text/csv", content["text/csv"]["example"].encode())] if "text/csv" in content else []
        for type_, body in bodies:
            assert send(request("POST", path, body, content_type=type_)).json == told, (path, body)
        refused = item["post"]["responses"]["422"]["content"]["application/json"]["examples"]["missing"]["value"]
        assert refused["details"][0]["got"] == "nothing"


def test_it_is_kept_until_what_is_served_changes(store, tmp_path):
    """And made again when a version appears, or another one is chosen."""
    shutil.copytree(store / "iris", tmp_path / "iris")
    repository = Repository.open(tmp_path)
    kept = routes._DESCRIPTION
    first = kept.of(repository)

    repository.refresh()
    assert kept.of(repository) is first

    shutil.copytree(store / "iris-logistic", tmp_path / "iris-logistic")
    repository.refresh()
    assert kept.of(repository) is not first
    assert b"/models/iris-logistic/predict" in kept.of(repository)
