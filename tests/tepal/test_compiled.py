"""Which form of a model answers: what was proven at publishing, what holds where it is loaded, and what RUNTIME asks for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

import tepal
import tepal.notes
from tepal import Repository, card, errors, manifest, proof, repository
from tepal.runtime.compiled import linear
from tepal.runtime.compiled.runtime import Form

IRIS = load_iris()


@pytest.fixture(name="publish")
def _publish(tmp_path, monkeypatch):
    monkeypatch.setattr(proof, "PERTURBED", 1000)

    def publish(estimator, **options):
        return tepal.publish(estimator.fit(IRIS.data, IRIS.target), name="m", X=IRIS.data, store=tmp_path, **options).path

    return publish


def edit(path, change):
    """Change the manifest of a version in place."""
    file = path / "manifest.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def logistic():
    return LogisticRegression(max_iter=1000)


def ask(version, rows=IRIS.data):
    return version.runtime.predict(version.readers.json.read(json.dumps(rows.tolist()).encode(), tepal.notes.Notes()))


def test_what_is_proven_answers_unless_told_otherwise(publish):
    path = publish(logistic())

    compiled, itself = repository.load(path), repository.load(path, runtime="sklearn")

    assert manifest.read(path).runtime.proof.perturbed == 1000
    assert (compiled.runtime.name, compiled.not_compiled) == ("compiled", None)
    assert (itself.runtime.name, itself.not_compiled) == ("sklearn", "RUNTIME is sklearn")
    assert ask(compiled).labels() == ask(itself).labels()
    np.testing.assert_allclose(ask(compiled).probabilities[0], ask(itself).probabilities[0], rtol=1e-12, atol=1e-12)
    assert any("compiled: proven to answer 1,850 rows" in line for line in card.lines(manifest.read(path), "", 200))


def test_what_has_no_compiled_form_says_so(publish):
    path = publish(DummyClassifier())
    version = repository.load(path)

    assert version.runtime.name == "sklearn"
    assert version.not_compiled == "there is no compiled form of DummyClassifier"
    assert any("by scikit-learn: there is no compiled form" in line for line in card.lines(version.manifest, ""))


def test_a_model_that_is_not_compiled_is_not_ready_where_only_compiled_ones_are_asked_for(publish):
    path = publish(DummyClassifier())
    models = Repository.open(path.parents[1], runtime="compiled")

    with pytest.raises(
        errors.NotReady, match=r"RUNTIME is compiled, and this version is not: there is no compiled form of Dum"
    ):
        models.find("m")


def test_a_sequence_is_never_compiled(publish):
    version = repository.load(publish(logistic(), rows="sequence"))

    assert version.runtime.name == "sklearn"
    assert "sequence" in version.not_compiled


def test_a_version_of_before_is_loaded_and_answers_by_itself(publish):
    path = publish(logistic())
    edit(path, lambda content: content.pop("runtime"))

    version = repository.load(path)

    assert version.not_compiled == "it was published before models were compiled; publish it again"
    assert any("before models were compiled" in line for line in card.lines(version.manifest, ""))


def off_by(factor):
    original = linear.classifier

    def wrong(model, comes):
        found = original(model, comes)

        def answer(rows, want):
            values, chances = found.answer(rows, want)
            return values, chances * factor if want else None

        return found._replace(answer=answer)

    return wrong


def test_a_form_that_does_not_answer_the_golden_rows_does_not_serve(publish, monkeypatch):
    path = publish(logistic())
    monkeypatch.setattr(linear, "classifier", off_by(1 + 1e-7))

    version = repository.load(path)

    assert version.runtime.name == "sklearn"
    assert version.not_compiled.startswith("its compiled form is not equal here: golden row 0 (alone)")


def test_a_form_that_is_wrong_by_less_is_found_when_it_is_published(publish, monkeypatch):
    monkeypatch.setattr(linear, "classifier", off_by(1 + 1e-9))

    version = repository.load(publish(logistic()))

    assert version.runtime.name == "sklearn"
    assert version.not_compiled.startswith("its compiled form is not equal: on one of the training rows")


def test_with_another_numpy_than_in_the_proof_it_is_proven_again(publish, monkeypatch):
    path = publish(logistic())
    edit(path, lambda content: content["packages"].update(numpy="1.0"))
    assert repository.load(path).runtime.name == "compiled"

    monkeypatch.setattr(linear, "classifier", off_by(1 + 1e-10))  # less than what golden rows would tell
    version = repository.load(path)

    assert version.runtime.name == "sklearn"
    assert version.not_compiled.startswith("its compiled form is not equal here: on one of the training rows")


def test_an_estimator_that_is_unlike_itself_inside_is_not_compiled(publish):
    model = logistic().fit(IRIS.data, IRIS.target)
    del model.intercept_
    version = repository.load(publish(logistic()))

    with pytest.raises(Exception, match="its inside is not as expected: AttributeError"):
        Form(model, version.manifest.signature, version.manifest.outputs)
