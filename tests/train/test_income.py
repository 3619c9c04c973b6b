"""The trainer of the income: words, numbers and gaps in, one of two labels out."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest

from tepal import manifest
from tests import servers
from tests.training import ask, curls, refusal, run, train
from train.income import COLUMNS, LABELS, TARGET, made_up_people

PREDICT = "/models/income/predict"
HEADER = ",".join([*COLUMNS, TARGET])


@pytest.fixture(name="trained", scope="module")
def _trained(tmp_path_factory):
    """The model repository in which the trainer left its model, and what it told."""
    store = tmp_path_factory.mktemp("store")
    result = train(store, "income")
    assert result.returncode == 0, result.stderr
    return store, result.stdout


@pytest.fixture(name="server", scope="module")
def _server(trained):
    with servers.gunicorn(trained[0], WEB_CONCURRENCY="1") as server:
        yield server


def test_it_tells_what_it_did_and_what_doing_nothing_would_have_got(trained):
    store, told = trained
    published = manifest.read(store / "income" / "1")

    metrics = published.metrics
    assert "6000 to train, 2000 held out" in told
    most = metrics["accuracy_of_always_the_most_frequent"]
    assert f"accuracy        {metrics['accuracy']:.4f}; always answering <=50K is right in {most:.4f}" in told
    assert metrics["accuracy"] > most + 0.05
    assert metrics["roc_auc"] > 0.75
    (low, too_high), (too_low, high) = metrics["confusion_matrix"]["counts"]
    assert low + too_high + too_low + high == 2000
    assert (low + high) / 2000 == metrics["accuracy"]
    assert published.outputs[0].classes == tuple(LABELS)
    assert published.signature.names == tuple(COLUMNS)
    columns = {column.name: column for column in published.signature.columns}
    assert {name for name, column in columns.items() if column.nullable} == {"hours_per_week", "workclass", "occupation"}
    assert (columns["age"].type, columns["hours_per_week"].type, columns["education"].type) == (
        "integer",
        "number",
        "string",
    )


def test_the_printed_request_gets_the_models_own_answers_with_a_gap_too(trained, server):
    (command,) = curls(trained[1])
    assert "null" in command

    answer = run(command, server.url)

    assert set(answer["predictions"]) <= set(LABELS)
    assert "warnings" not in answer
    for label, chances in zip(answer["predictions"], answer["probabilities"], strict=True):
        assert chances[label] == max(chances.values())


def test_a_whole_table_is_answered_as_the_notebook_would(trained, server):
    people = made_up_people(300, seed=1)[COLUMNS]
    model = joblib.load(trained[0] / "income" / "1" / "model.pkl")

    status, answer = ask(server.port, PREDICT, people.to_json(orient="split"), "application/json")

    assert status == 200, answer
    assert answer["predictions"] == model.predict(people).tolist()
    got = np.array([[chances[label] for label in LABELS] for chances in answer["probabilities"]])
    assert got.tobytes() == model.predict_proba(people).tobytes()


def test_a_word_that_training_never_saw_is_answered_with_a_warning(server):
    person = made_up_people(1, seed=1)[COLUMNS].assign(workclass="Privat")

    status, answer = ask(server.port, PREDICT, person.to_json(orient="records"))

    assert status == 200
    (warning,) = answer["warnings"]
    assert warning["column"] == "workclass"
    assert warning["message"] == '"Privat" was never seen in training; did you mean "Private"?'


def test_it_takes_the_census_as_it_is_spread(trained, tmp_path):
    """Hyphens or dots in names, a space after each comma, ``?`` for a gap, a dot after each label."""
    people = made_up_people()
    people[TARGET] += "."
    adult = people.assign(fnlwgt=1, race="?").rename(columns={name: name.replace("_", "-") for name in COLUMNS})
    adult = adult.astype({"hours-per-week": "Int64"}).astype(object).where(lambda table: table.notna(), "?")
    file = tmp_path / "adult.csv"
    file.write_text(adult.to_csv(index=False).replace(",", ", "))

    result = train(tmp_path / "store", "income", "--data", file)

    assert result.returncode == 0, result.stderr
    own, made_up = (manifest.read(store / "income" / "1") for store in (tmp_path / "store", trained[0]))
    assert own.metrics == made_up.metrics
    assert own.signature == made_up.signature


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot read {file}: No such file or directory"),
        ("", "cannot read {file}: No columns to parse from file"),
        ("age,income\n1,>50K\n", "{file} has no column hours_per_week, capital_gain, workclass, education, marital_status"),
        (f"{HEADER}\n1,2,3,a,b,c,d,much\n", "{file}: income holds 'much'; it takes <=50K or >50K"),
        (f"{HEADER}\n1,2,3,a,b,c,d,>50K\n", "{file} has 0 of <=50K and 1 of >50K; it takes 200 rows, and 10 of each"),
        (f"{HEADER}\n", "{file} has 0 of <=50K and 0 of >50K; it takes 200 rows, and 10 of each"),
    ],
)
def test_data_that_cannot_be_used_is_one_sentence(tmp_path, content, sentence):
    file = tmp_path / "people.csv"
    if content is not None:
        file.write_text(content)

    assert refusal(train(tmp_path / "store", "income", "--data", file)).startswith(sentence.format(file=file))
    assert not (tmp_path / "store").exists()


def test_made_up_people_have_gaps_where_people_leave_questions_open():
    people = made_up_people()

    assert list(people) == [*COLUMNS, TARGET]
    assert people.isna().any().pipe(lambda gaps: set(gaps.index[gaps])) == {"hours_per_week", "workclass", "occupation"}
    assert pd.api.types.is_integer_dtype(people["age"])
