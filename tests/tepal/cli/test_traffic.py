"""Which version answers, by command: promote, rollback, split, shadow; and what the other commands make of it."""

from __future__ import annotations

import json
import shutil

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import tepal as library
from tepal import artifact, choice
from tepal.cli.remove import remove_command
from tepal.errors import RepositoryError

X = np.array([[1.0], [2.0], [3.0]])


def publish(store, slope, **options):
    fitted = LinearRegression().fit(X, slope * X[:, 0])
    return library.publish(fitted, name="line", X=X, store=store, **options)


@pytest.fixture(scope="session", name="three")
def _three(tmp_path_factory):
    """A model `line` of three versions, of which version n answers n times what it is asked."""
    store = tmp_path_factory.mktemp("three")
    for slope in (1, 2, 3):
        publish(store, slope)
    return store


@pytest.fixture(name="run")
def _run(tepal, three, tmp_path):
    """The command over a copy of ``three``: exit code, standard output and error."""
    store = shutil.copytree(three, tmp_path / "model")

    def run(*arguments, **environ):
        done = tepal(*arguments, model_store=store, **environ)
        return done.returncode, done.stdout, done.stderr

    run.store = store
    return run


def damage(store, number):
    (store / "line" / number / "model.pkl").write_bytes(b"damaged")


def test_each_command_says_what_answers_from_now_on(run):
    for command, said in (
        ("promote line 1", "line: version 1 answers, pinned\n"),
        ("promote line 2", "line: version 2 answers, pinned\n"),
        ("rollback line", "line: version 1 answers, pinned\n"),
        ("shadow line 3", "line: version 1 answers, pinned\nline: version 3 is the shadow\n"),
        ("split line 1=2 2=1", "line: version 1 66.7 %, version 2 33.3 %\nline: version 3 is the shadow\n"),
        ("shadow line off", "line: version 1 66.7 %, version 2 33.3 %\n"),
        ("promote line latest", "line: version 3 answers, the newest\n"),
    ):
        assert run(*command.split()) == (0, said, ""), command


def test_as_json_they_say_what_is_chosen(run):
    def told(*arguments):
        return json.loads(run(*arguments, "--json")[1])

    assert told("shadow", "line", "3") == {
        "name": "line",
        "default_version": "3",
        "pinned": None,
        "split": None,
        "shadow": "3",
    }
    assert told("split", "line", "1=90", "2=10")["split"] == {"1": 90, "2": 10}
    assert told("promote", "line", "2")["pinned"] == told("promote", "line", "2")["default_version"] == "2"
    assert told("rollback", "line")["default_version"] == "1"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("promote line 9", "model 'line' has no version '9'; it has 1, 2, 3"),
        ("promote line ../line/1", "model 'line' has no version '../line/1'; it has 1, 2, 3"),
        ("promote lime 1", "there is no model 'lime' in"),
        ("rollback lime", "did you mean 'line'?"),
        ("split line 1=1 9=1", "model 'line' has no version '9'"),
        ("shadow line 9", "model 'line' has no version '9'"),
        ("shadow line none", "model 'line' has no version 'none'"),
        ("rollout line 9", "model 'line' has no version '9'"),
        ("rollout line 3", "version 3 of 'line' answers already; pin the one that shall answer meanwhile"),
        ("rollout line 2 --url ftp://nowhere", "'ftp://nowhere' is no address of a service"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(command, reason, run):
    code, out, err = run(*command.split())

    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert reason in err
    assert err.count("\n") == 1
    assert not (run.store / "line" / "serving.json").exists()


def test_a_bad_version_is_refused(run):
    damage(run.store, "2")

    for command in ("promote line 2", "split line 1=1 2=1", "shadow line 2"):
        code, _, err = run(*command.split())
        assert (code, err.split(":")[1]) == (1, " model 'line' version 2 must not serve"), command


@pytest.mark.parametrize(
    "command",
    [
        "promote line",
        "rollback",
        "split line",
        "split line 1",
        "split line 1=x",
        "split line 1=-1",
        "split line 1=1e300 2=1e300",
        "split line 1=1 1=2",
        "split line 1=0 2=0",
        "shadow line",
        "rollout line 2 --steps 50,5",
        "rollout line 2 --steps 50,50",
        "rollout line 2 --steps 0",
        "rollout line 2 --steps 101",
        "rollout line 2 --steps nan",
        "rollout line 2 --steps a",
        "rollout line 2 --every 0",
        "rollout line 2 --every inf",
        "rollout line 2 --max-errors 101",
    ],
)
def test_wrong_usage_ends_with_2(command, run):
    code, out, err = run(*command.split())

    assert (code, out) == (2, "")
    assert "Usage: " in err
    assert not (run.store / "line" / "serving.json").exists()


@pytest.mark.parametrize("command", ["promote", "rollback", "split", "shadow", "rollout"])
def test_each_help_page_has_an_example(command, run):
    code, out, _ = run(command, "--help")

    assert code == 0
    assert f"Example: tepal {command} iris" in out


# What the other commands make of it.


def test_list_says_what_is_chosen(run):
    assert "CHOSEN" not in run("list")[1]
    for command, ends in (
        ("promote line 2", "pinned"),
        ("shadow line 3", "pinned, shadow 3"),
        ("split line 1=90 2=10", "split 1=90 2=10, shadow 3"),
    ):
        run(*command.split())
        head, line = run("list")[1].splitlines()
        assert head.endswith("TRAINED     CHOSEN")
        assert line.endswith(f"  {ends}"), command
    assert line.split()[2] == "1"  # the default is the heaviest

    (model,) = json.loads(run("list", "--json")[1])["models"]
    assert (model["default_version"], model["pinned"], model["split"], model["shadow"]) == (
        "1",
        "2",
        {"1": 90, "2": 10},
        "3",
    )


def test_list_says_that_a_pinned_version_is_bad_and_names_no_other_in_its_place(run):
    run("promote", "line", "2")
    damage(run.store, "2")

    out = run("list")[1]

    assert out.splitlines()[1].split()[2] == "none"
    assert "✗ line cannot serve: version 2, which is pinned: model.pkl is damaged" in out


def test_list_says_that_the_file_of_a_choice_is_damaged(run):
    (run.store / "line" / "serving.json").write_text("{")

    assert "✗ line cannot serve: serving.json of model 'line' is damaged" in run("list")[1]


def test_show_is_the_card_of_what_was_chosen_and_says_so(run):
    assert run("show", "line")[1].startswith("line, version 3\n")
    run("promote", "line", "2")
    run("shadow", "line", "3")

    shown = run("show", "line")[1]

    assert shown.startswith("line, version 2\n")
    assert shown.endswith("It is pinned: it answers, whatever is published after it.\n")
    assert run("show", "line", "3")[1].endswith("It is the shadow: it gets a copy of the traffic.\n")
    assert json.loads(run("show", "line", "--json")[1])["version"] == 2


def test_predict_asks_what_was_chosen(run, tmp_path):
    (tmp_path / "rows.csv").write_text("x0\n2.0\n")

    def answer(*options):
        code, _, err = run("predict", "line", tmp_path / "rows.csv", "-o", tmp_path / "out.csv", *options)
        return round(float((tmp_path / "out.csv").read_text().split()[1])) if code == 0 else err

    assert answer() == 6
    run("promote", "line", "2")
    assert answer() == 4
    assert answer("--version", "1") == 2
    run("split", "line", "1=90", "2=10")
    assert answer() == 2
    run("promote", "line", "2")
    damage(run.store, "2")
    assert answer().startswith("Error: version 2 of model 'line' cannot answer: model.pkl is damaged")


def test_verify_says_what_is_chosen(run):
    run("promote", "line", "2")
    run("shadow", "line", "3")

    assert run("verify")[1].splitlines() == [
        "✓ line version 1: verified",
        "✓ line version 2 (pinned): verified",
        "✓ line version 3 (shadow): verified",
    ]
    assert [one["chosen"] for one in json.loads(run("verify", "--json")[1])["versions"]] == [[], ["pinned"], ["shadow"]]


def test_remove_refuses_what_was_chosen_and_says_what_to_do_first(run):
    run("split", "line", "1=90", "2=10")
    run("shadow", "line", "3")
    for number, use in (("1", "in the split"), ("2", "in the split"), ("3", "the shadow")):
        code, _, err = run("remove", "line", number)
        assert (code, err.split(";")[0]) == (1, f"Error: version {number} of 'line' is {use}")
        assert (run.store / "line" / number).exists()

    first = err.removesuffix("\n").split("first end that: tepal ")[1]
    assert run(*first.split())[0] == 0
    assert run("remove", "line", "3")[0] == 0

    run("promote", "line", "2")
    code, _, err = run("remove", "line", "2")
    assert (code, err) == (
        1,
        "Error: version 2 of 'line' is pinned; first let another answer: tepal promote line latest\n",
    )
    run("promote", "line", "latest")
    assert run("remove", "line", "2")[0] == 0


def test_what_is_chosen_meanwhile_is_not_removed(run, monkeypatch):
    """By somebody who had the lock before."""
    locked = artifact.locked

    def late(folder):
        monkeypatch.setattr(artifact, "locked", locked)
        choice.promote(folder, "3")
        return locked(folder)

    monkeypatch.setattr(artifact, "locked", late)
    monkeypatch.setenv("MODEL_STORE", str(run.store))

    with pytest.raises(RepositoryError, match="version 3 of 'line' is pinned"):
        remove_command.callback("line", "3")
    assert (run.store / "line" / "3").exists()


@pytest.mark.parametrize("command", ["list", "show line", "verify", "rollback line", "remove line 1", "requirements"])
def test_what_cannot_be_read_is_one_sentence(command, run):
    """What is chosen, and the whole repository."""
    (run.store / "line" / choice.FILE).mkdir()
    code, out, err = run(*command.split())
    assert (code, err.count("\n")) == ((0, 0) if command == "list" else (1, 1))
    assert "serving.json of model 'line' cannot be read: Is a directory" in out + err

    shutil.rmtree(run.store)
    run.store.touch()
    assert run(*command.split()) == (1, "", "Error: the model repository cannot be looked into: Not a directory\n")


def test_a_rollback_passes_over_what_was_removed(run):
    for number in ("1", "2", "3"):
        run("promote", "line", number)
    run("remove", "line", "2")

    assert run("rollback", "line")[1] == "line: version 1 answers, pinned\n"


def test_with_its_last_version_what_was_chosen_is_gone_too(run):
    run("promote", "line", "1")
    run("promote", "line", "latest")
    for number in ("1", "2", "3"):
        assert run("remove", "line", number)[0] == 0

    assert list(run.store.iterdir()) == []


def test_publish_pins_where_it_is_asked_to(run, tmp_path):
    run("promote", "line", "1")
    publish(run.store, 4)
    assert json.loads((run.store / "line" / "serving.json").read_text())["pinned"] == "1"

    publish(run.store, 5, promote=True)

    assert json.loads((run.store / "line" / "serving.json").read_text())["pinned"] == "5"
    assert run("rollback", "line")[1] == "line: version 1 answers, pinned\n"

    joblib.dump(LinearRegression().fit(X, X[:, 0]), tmp_path / "line.pkl")
    pd.DataFrame(X, columns=["x0"]).to_csv(tmp_path / "rows.csv", index=False)
    arguments = ("publish", tmp_path / "line.pkl", "--name", "line", "--examples", tmp_path / "rows.csv")
    code, out, _ = run(*arguments)
    assert code == 0
    assert "Version 1 is pinned and goes on answering; for this one: tepal promote line 6" in out
    code, out, _ = run(*arguments, "--promote")
    assert code == 0
    assert out.splitlines()[0].endswith("line/7/, pinned")
    assert json.loads((run.store / "line" / "serving.json").read_text())["pinned"] == "7"


def test_one_that_cannot_be_pinned_is_published_and_says_so(run):
    (run.store / "line" / "serving.json").mkdir()

    with pytest.raises(
        library.PublishError, match=r"version 4 is published in .*, and not pinned: cannot write serving.json"
    ):
        publish(run.store, 4, promote=True)

    assert (run.store / "line" / "4").is_dir()
