"""What is chosen for a model: by which commands it changes, and what each client then gets."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tepal import artifact, choice
from tepal.choice import Changed, Choice, Chosen
from tepal.errors import ArtifactError, NotFound
from train import iris

each_way_to_choose_3 = pytest.mark.parametrize(
    "change",
    [
        lambda home: choice.promote(home, "3"),
        lambda home: choice.split(home, {"3": 1}),
        lambda home: choice.shadow(home, "3"),
    ],
    ids=["promote", "split", "shadow"],
)


@pytest.fixture(scope="session", name="three")
def _three(tmp_path_factory):
    """A model of three versions."""
    store = tmp_path_factory.mktemp("three")
    for _ in range(3):
        iris.run("svm", iris.ALGORITHMS["svm"], store)
    return store / "iris"


@pytest.fixture(name="home")
def _home(three, tmp_path):
    return shutil.copytree(three, tmp_path / "iris")


def damage(home, number):
    (home / number / "model.pkl").write_bytes(b"damaged")


def test_nothing_is_chosen_and_the_newest_good_version_answers(home):
    assert choice.read(home) == Choice()
    assert choice.default(home, Choice()) == "3"

    damage(home, "3")

    assert choice.default(home, Choice()) == "2"


def test_promote_pins_and_rollback_returns_to_what_answered_before(home):
    assert choice.promote(home, "1").pinned == "1"
    assert choice.promote(home, "2").pinned == "2"
    assert choice.rollback(home).pinned == "1"
    assert choice.rollback(home).pinned == "3"


def test_rollback_without_a_promotion_returns_to_the_next_older_good_version(home):
    damage(home, "2")

    assert choice.rollback(home).pinned == "1"
    with pytest.raises(NotFound, match="no version before 1"):
        choice.rollback(home)


def test_promoting_what_is_promoted_is_nothing_to_roll_back(home):
    choice.promote(home, "1")
    choice.promote(home, "1")

    assert choice.rollback(home).pinned == "3"


def test_latest_unpins(home):
    choice.promote(home, "1")

    assert choice.promote(home, "latest").pinned is None
    assert choice.rollback(home).pinned == "1"


def test_promote_and_rollback_end_a_split(home):
    choice.split(home, {"1": 90, "2": 10})
    assert choice.default(home, choice.read(home)) == "1"
    assert choice.promote(home, "2").split == {}

    choice.split(home, {"1": 90, "2": 10})
    assert choice.rollback(home) == Choice("2", before=("3", "1"))


def test_a_split_that_moves_on_is_rolled_back_in_one_step(home):
    for share in (5, 25, 50):
        choice.split(home, {"1": 100 - share, "2": share})

    assert choice.rollback(home).pinned == "3"


def test_a_promotion_that_ends_a_split_is_rolled_back_to_what_was_before_the_split(home):
    choice.promote(home, "1")
    choice.split(home, {"1": 0, "2": 100})
    choice.promote(home, "2")

    assert choice.rollback(home) == Choice("1", before=("3",))


def test_a_rollback_passes_over_versions_that_are_gone(home):
    for number in ("1", "2", "1"):
        choice.promote(home, number)
    shutil.rmtree(home / "2")

    assert choice.rollback(home) == Choice("1", before=("3",))


def test_a_choice_is_only_replaced_where_it_is_what_was_thought(home):
    first = choice.promote(home, "1")
    choice.replace(home, [Choice(), first], Choice("2"))

    with pytest.raises(Changed, match="somebody else has chosen for model 'iris'"):
        choice.replace(home, [Choice(), first], Choice("3"))

    assert choice.read(home) == Choice("2")


def test_a_shadow_stays_until_it_answers_itself_or_is_ended(home):
    choice.shadow(home, "2")
    assert choice.promote(home, "1").shadow == "2"
    assert choice.promote(home, "2").shadow is None
    choice.shadow(home, "1")
    assert choice.shadow(home, None).shadow is None


@each_way_to_choose_3
def test_a_bad_version_is_not_chosen(change, home):
    damage(home, "3")

    with pytest.raises(ArtifactError, match=r"version 3 must not serve: model.pkl is damaged"):
        change(home)

    assert choice.read(home) == Choice()


@pytest.mark.parametrize("number", ["4", "../3", "", "0"])
def test_a_version_that_is_not_there_is_not_chosen(number, home):
    with pytest.raises(NotFound, match="it has 1, 2, 3"):
        choice.promote(home, number)


def test_a_client_stays_on_its_side_and_each_side_has_its_share():
    split = Choice(split={"1": 70, "2": 20, "10": 10})
    clients = [f"client-{i}" for i in range(20_000)]

    sides = [split.side("iris", client) for client in clients]

    assert sides == [split.side("iris", client) for client in clients]
    for number, share in split.split.items():
        expected = 20_000 * share / 100
        assert abs(sides.count(number) - expected) < 4 * (expected * (1 - share / 100)) ** 0.5


def test_clients_move_one_way_as_the_newer_versions_share_grows():
    clients = [f"client-{i}" for i in range(2_000)]
    moved: set[str] = set()
    for share in (0.1, 5, 25, 50, 100):
        split = Choice(split={"2": 100 - share, "11": share} if share < 100 else {"11": 1})
        on_new = {client for client in clients if split.side("iris", client) == "11"}
        assert moved <= on_new
        moved = on_new
    assert len(moved) == 2_000


def test_two_models_split_their_clients_differently():
    split = Choice(split={"1": 50, "2": 50})
    clients = [f"client-{i}" for i in range(1_000)]

    same = sum(split.side("iris", client) == split.side("wine", client) for client in clients)

    assert 400 < same < 600


def test_what_is_chosen_is_seen_at_once(home):
    chosen = Chosen(home)
    assert chosen.now() == Choice()
    for number in ("1", "2", "3", "1"):
        choice.promote(home, number)
        assert chosen.now().pinned == number
    (home / choice.FILE).unlink()
    assert chosen.now() == Choice()


def test_while_one_reads_no_other_takes_what_was_before_for_new(home, monkeypatch):
    """A request that comes while another reads the file has to read it too."""
    chosen = Chosen(home)
    assert chosen.now() == Choice()
    choice.promote(home, "1")
    found, read = [], choice.read

    def slow(folder):
        if not found:
            found.append(None)
            found[0] = chosen.now()  # another's request, in the midst of it
        return read(folder)

    monkeypatch.setattr(choice, "read", slow)

    assert chosen.now().pinned == found[0].pinned == "1"


def test_a_damaged_file_leaves_what_was_chosen_and_is_told_to_the_next_command(home):
    """But for the one that chooses anew."""
    chosen = Chosen(home)
    choice.promote(home, "1")
    assert chosen.now().pinned == "1"
    (home / choice.FILE).write_text('{"pinned":')

    assert chosen.now().pinned == "1"
    assert chosen.fault is None
    for change in (choice.rollback, lambda home: choice.split(home, {"1": 1}), lambda home: choice.shadow(home, "2")):
        with pytest.raises(ArtifactError, match=r"serving.json of model 'iris' is damaged: .*; promote writes it anew"):
            change(home)
    choice.promote(home, "2")
    assert chosen.now().pinned == "2"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"pinned":"01"}', '{"split":{"a":1}}', '{"shadow":"../2"}', '{"later":1}', b"\xff"]
)
def test_what_nobody_can_have_chosen_is_damage(text, home):
    (home / choice.FILE).write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(ArtifactError, match="is damaged"):
        choice.read(home)
    chosen = Chosen(home)
    assert chosen.now() == Choice()
    assert "is damaged" in chosen.fault
    (home / choice.FILE).unlink()
    assert chosen.now() == Choice()
    assert chosen.fault is None


def test_a_file_that_cannot_be_read_is_no_traceback(home):
    (home / choice.FILE).mkdir()

    with pytest.raises(ArtifactError, match=r"serving.json of model 'iris' cannot be read: Is a directory"):
        choice.read(home)


@each_way_to_choose_3
def test_what_is_removed_meanwhile_is_not_chosen(change, home, monkeypatch):
    """By somebody who had the lock before."""
    locked = artifact.locked

    def late(folder):
        monkeypatch.setattr(artifact, "locked", locked)
        artifact.remove(folder, "3")
        return locked(folder)

    monkeypatch.setattr(artifact, "locked", late)

    with pytest.raises(NotFound, match="has no version '3'; it has 1, 2"):
        change(home)
    assert choice.read(home) == Choice()


def test_of_a_split_in_halves_the_older_version_is_named_first():
    assert choice.candidates(Choice(split={"10": 1, "2": 1, "3": 2}), ["2", "3", "10"]) == ["3", "2", "10"]


def test_a_folder_that_cannot_be_written_says_how_to_mount_it(three):
    with tempfile.TemporaryDirectory() as folder:
        home = shutil.copytree(three, Path(folder) / "iris")
        Path(folder).chmod(0o755)
        home.chmod(0o555)

        said = as_another_user(lambda: choice.promote(home, "1"))

        home.chmod(0o755)
    assert said.startswith("RepositoryError: cannot write serving.json of model 'iris'")
    assert "mount the folder so that it can be written: -v ./model:/app/model" in said


def as_another_user(act) -> str:
    """The error, if any, of an act that is done in a process which may not write everywhere, as root may."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            act()
        except Exception as error:  # noqa: BLE001 it is told to the parent
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as file:
        return file.read()


def test_the_file_is_small_and_plain(home):
    choice.promote(home, "1")

    assert json.loads((home / choice.FILE).read_text()) == {"pinned": "1", "before": ["3"]}
    assert [path.name for path in home.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        *[
            ([pair], "is not VERSION=WEIGHT")
            for pair in ("1", "x=1", "1=x", "1=-1", "1=inf", "1=nan", "1=1e10", "01=1", "1=")
        ],
        (["1=0", "2=0"], "at least one weight must be above 0"),
        (["1=1", "1=2"], "version 1 is there twice"),
    ],
)
def test_weights_that_are_none(pairs, reason):
    with pytest.raises(ValueError, match=reason):
        choice.weights_of(pairs)


def test_weights():
    assert choice.weights_of(["1=90", "2=10.5"]) == {"1": 90.0, "2": 10.5}
