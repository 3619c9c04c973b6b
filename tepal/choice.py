"""Which version of a model answers where a request names none: one small file a model, in the model repository.

It is replaced by a rename, so that a reader sees the old choice or the new one, and looked at by every request, so
that what a command here has returned from is true in every process that sees the repository.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from tepal import artifact
from tepal import manifest as manifests
from tepal.errors import ArtifactError, NotFound, RepositoryError

FILE = artifact.CHOICE
_DRAFT = ".choosing-"
# Rollbacks that are possible in a row.
REMEMBERED = 20
# The largest weight: any sum of such is a number.
HEAVIEST = 1e9


class Choice(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What was chosen for a model; nothing is, and its newest good version answers, where all is left out.

    pinned: the version that answers. split: the versions that share the traffic, with their weights. shadow: the
    version that gets a copy of the traffic. before: what answered before each promotion, the latest last.
    """

    pinned: str | None = None
    split: dict[str, float] = {}
    shadow: str | None = None
    before: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """What is chosen, for a line of text: ``pinned``, ``split 1=90 2=10``, ``shadow 3``; empty where nothing is."""
        words = []
        if self.split:
            words.append(f"split {' '.join(f'{number}={self.split[number]:g}' for number in sorted(self.split, key=int))}")
        elif self.pinned is not None:
            words.append("pinned")
        return words if self.shadow is None else [*words, f"shadow {self.shadow}"]

    def side(self, name: str, client: str) -> str | None:
        """The version of the split that a client of the model ``name`` always gets; None without a split.

        The newer a version, the further up its part of [0, 1) lies: where the newest one's weight grows, clients move
        to it, and none moves back.
        """
        if not self.split:
            return None
        digest = hashlib.blake2b(f"{name}\0{client}".encode("utf-8", "replace"), digest_size=8).digest()
        point = int.from_bytes(digest, "big") / 2**64 * sum(self.split.values())
        sides = sorted(self.split, key=int)
        for number in sides:
            point -= self.split[number]
            if point < 0:
                return number
        return sides[-1]


NOTHING = Choice()


class Changed(RepositoryError):
    """What is chosen is not what the caller thought: somebody else has chosen meanwhile."""


_NO_FILE = (None, NOTHING)


class Chosen:
    """The choice for one model, read again whenever its file was replaced."""

    __slots__ = ("_is_known", "_path", "_read", "fault")

    def __init__(self, home: Path):
        self._path = os.fspath(home / FILE)
        # What was seen of the file, and what is chosen; in one piece, so that no thread has a half of another's.
        self._read: tuple[tuple[int, int, int] | None, Choice] = _NO_FILE
        self._is_known = False
        self.fault: str | None = None  # why it was never known

    def before(self) -> Choice:
        """What was chosen when somebody last looked."""
        return self._read[1]

    def now(self) -> Choice:
        """What is chosen at this moment. A file that cannot be read leaves the choice before it standing."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 half the price of Path's, on every request
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
        except FileNotFoundError:
            self._read, self._is_known, self.fault = _NO_FILE, True, None
            return NOTHING
        except OSError:
            seen = (0, 0, 0)
        before, choice = self._read
        if seen == before:
            return choice
        # First what was seen, then what is read: what comes between is read again by the next request.
        try:
            choice = read(Path(self._path).parent)
            self._is_known, self.fault = True, None
        except ArtifactError as error:
            self.fault = None if self._is_known else str(error)
        self._read = (seen, choice)
        return choice


def read(home: Path) -> Choice:
    """The choice for the model in the folder ``home``. Raises ArtifactError where its file is damaged, or cannot be read."""
    try:
        choice = msgspec.json.decode((home / FILE).read_bytes(), type=Choice)
        for number in filter(None, (choice.pinned, *choice.split, choice.shadow, *choice.before)):
            if not manifests.VERSION.fullmatch(number):
                raise msgspec.ValidationError(f"{number!r} is no version")
    except FileNotFoundError:
        return NOTHING
    except OSError as error:
        raise ArtifactError(f"{FILE} of model '{home.name}' cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{FILE} of model '{home.name}' is damaged: {error}; promote writes it anew") from None
    return choice


def promote(home: Path, number: str) -> Choice:
    """Pin a version, and end a split. number: ``latest`` pins none, so that the newest good version answers.

    Raises NotFound for a version that is not there, ArtifactError for one that must not serve.
    """
    pinned = None if number == "latest" else number

    def promoted(old: Choice) -> Choice:
        if pinned is not None:
            check(home, pinned)
        answered = default(home, old)
        before = old.before if answered == pinned else remember(old, answered)
        return Choice(pinned, {}, None if old.shadow == pinned else old.shadow, before)

    return _change(home, promoted, anew=True)


def rollback(home: Path) -> Choice:
    """Return to what answered before the last promotion; where there was none, to the next older good version.

    Raises NotFound where nothing was before, ArtifactError where what was before must not serve any more.
    """

    def rolled_back(old: Choice) -> Choice:
        before = [number for number in old.before if (home / number).is_dir()]  # but for those that were removed
        if before:
            number = before.pop()
        else:
            now = default(home, old)
            older = [one for one in numbers(home) if now is not None and int(one) < int(now) and _is_good(home / one)]
            if not older:
                raise NotFound(f"model '{home.name}' has no version before {now or 'this'} to return to")
            number = older[-1]
        check(home, number)
        return Choice(number, {}, None if old.shadow == number else old.shadow, tuple(before))

    return _change(home, rolled_back)


def split(home: Path, weights: Mapping[str, float]) -> Choice:
    """Let versions share the traffic. weights: of each version, in any unit; their sum is above 0.

    Raises NotFound for a version that is not there, ArtifactError for one that must not serve.
    """

    def shared(old: Choice) -> Choice:
        for number in weights:
            check(home, number)
        sides = {number: weight for number, weight in weights.items() if weight > 0}
        return Choice(old.pinned, sides, old.shadow, old.before if old.split else remember(old, default(home, old)))

    return _change(home, shared)


def shadow(home: Path, number: str | None) -> Choice:
    """Give a version a copy of the traffic; None ends it.

    Raises NotFound for a version that is not there, ArtifactError for one that must not serve.
    """

    def shadowed(old: Choice) -> Choice:
        if number is not None:
            check(home, number)
        return msgspec.structs.replace(old, shadow=number)

    return _change(home, shadowed)


def replace(home: Path, seen: Collection[Choice], new: Choice) -> Choice:
    """Choose ``new`` in place of any of ``seen``. Raises Changed where something else is chosen by now."""

    def replaced(old: Choice) -> Choice:
        if old not in seen:
            raise Changed(f"somebody else has chosen for model '{home.name}' meanwhile")
        return new

    return _change(home, replaced)


def remember(old: Choice, answered: str | None) -> tuple[str, ...]:
    """What answered before the next promotion: ``old.before``, and what answers until then."""
    if answered is None or old.before[-1:] == (answered,):
        return old.before
    return (*old.before, answered)[-REMEMBERED:]


def default(home: Path, choice: Choice) -> str | None:
    """The version that answers by a choice, as the files say: the split's heaviest, the pinned, the newest good one."""
    if choice.split:
        return max(sorted(choice.split, key=int), key=lambda number: choice.split[number])
    if choice.pinned is not None:
        return choice.pinned
    return next((number for number in reversed(numbers(home)) if _is_good(home / number)), None)


def candidates(choice: Choice, numbers: Sequence[str]) -> list[str]:
    """The versions that may answer where none is named, the first of them that may serve doing so.

    numbers: those on disk, ascending. What was chosen is never replaced by another.
    """
    if choice.split:
        return sorted(choice.split, key=lambda number: (-choice.split[number], int(number)))
    return list(reversed(numbers)) if choice.pinned is None else [choice.pinned]


def uses(choice: Choice, number: str) -> list[str]:
    """What a version is chosen for, in words; nothing where it is not."""
    words = {"pinned": choice.pinned == number, "split": number in choice.split, "shadow": choice.shadow == number}
    return [word for word, used in words.items() if used]


def numbers(home: Path) -> list[str]:
    """The versions of the model in the folder ``home``, ascending, good and bad."""
    return sorted((path.name for path in home.iterdir() if manifests.VERSION.fullmatch(path.name)), key=int)


def _is_good(path: Path) -> bool:
    """Whether the files of a version are whole. Whether it may serve where it is served is found out there."""
    try:
        artifact.verify(path, allow_version_mismatch=True)
    except ArtifactError:
        return False
    return True


def check(home: Path, number: str) -> None:
    """Raises NotFound for a version that is not there, ArtifactError for one that must not serve."""
    if not manifests.VERSION.fullmatch(number) or not (home / number).is_dir():
        raise NotFound(f"model '{home.name}' has no version {number!r}; it has {', '.join(numbers(home)) or 'none'}")
    try:
        artifact.verify(home / number, allow_version_mismatch=True)
    except ArtifactError as error:
        raise ArtifactError(f"model '{home.name}' version {number} must not serve: {error}") from None


def _change(home: Path, change: Callable[[Choice], Choice], *, anew: bool = False) -> Choice:
    """Replace the choice, while nobody else does, and nobody removes a version.

    anew: where its file is damaged, as though nothing had been chosen. Raises RepositoryError where it cannot be written.
    """
    try:
        with artifact.locked(home):
            try:
                old = read(home)
            except ArtifactError:
                if not anew:
                    raise
                old = NOTHING
            new = change(old)
            _write(home, msgspec.json.encode(new))
            return new
    except OSError as error:
        hint = ""
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            hint = "; mount the folder so that it can be written: -v ./model:/app/model"
        raise RepositoryError(f"cannot write {FILE} of model '{home.name}' in {home}/: {error.strerror}{hint}") from error


def _write(home: Path, data: bytes) -> None:
    for left_over in home.glob(f"{_DRAFT}*"):  # of one that was killed: the lock is ours
        left_over.unlink(missing_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=_DRAFT, dir=home)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(0o644)
        Path(draft).rename(home / FILE)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    artifact.flush(home)


def weights_of(pairs: Sequence[str]) -> dict[str, float]:
    """``VERSION=WEIGHT`` texts as weights. Raises ValueError, which says what is wrong."""
    weights: dict[str, float] = {}
    for pair in pairs:
        number, _, text = pair.partition("=")
        try:
            weight = float(text)
        except ValueError:
            weight = -1.0
        if not manifests.VERSION.fullmatch(number) or not 0 <= weight <= HEAVIEST:
            raise ValueError(f"{pair!r} is not VERSION=WEIGHT, such as 2=10, with a weight from 0 to {HEAVIEST:.0f}")
        if number in weights:
            raise ValueError(f"version {number} is there twice")
        weights[number] = weight
    if not any(weights.values()):
        raise ValueError("at least one weight must be above 0")
    return weights
