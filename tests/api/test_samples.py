"""The examples of a model: the same rows in each format, and the answer that was recorded."""

from __future__ import annotations

import msgspec
import pytest

from api import samples
from tepal import Repository
from tepal.notes import Notes


@pytest.fixture(scope="module", name="versions")
def _versions(odd, repository):
    models = [*repository.models.values(), *Repository.open(odd).models.values()]
    return [version for model in models for version in model.versions.values()]


def test_each_format_holds_the_rows_of_the_card(versions):
    """Though a datetime has its zone there, and columns any name."""
    for version in versions:
        manifest, read = version.manifest, version.readers.read
        expected = read("json", msgspec.json.encode(manifest.example), Notes()).records()

        for format_, body in (
            ("json", msgspec.json.encode(samples.records(manifest))),
            ("json", msgspec.json.encode(samples.vectors(manifest))),
            ("json", msgspec.json.encode(samples.split(manifest))),
            ("csv", samples.csv_text(manifest).encode()),
        ):
            if format_ == "json" and b'"columns"' in body and {"columns", "data"} & set(manifest.signature.names):
                continue  # a column wins over the frame
            assert read(format_, body, Notes()).records() == expected, (manifest.name, body)


def test_the_answer_is_what_is_answered(versions):
    for version in versions:
        rows = version.readers.read("json", msgspec.json.encode(samples.records(version.manifest)), Notes())
        predicted = version.runtime.predict(rows, True)

        answer = samples.answer(version.manifest)

        assert answer["predictions"] == predicted.labels()
        assert answer.get("probabilities") == predicted.class_probabilities()
