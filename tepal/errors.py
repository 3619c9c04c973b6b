"""What can go wrong, as facts without HTTP.

TepalError
├── InputError            what a caller sent cannot be used
│   ├── Malformed         the bytes are not what they claim to be
│   ├── TooLarge          they inflate to more than they may
│   └── Invalid           well-formed, but not what the signature says; carries every bad cell
├── NotFound              no such model or version
├── NotReady              the model is there and may not serve (yet); carries the reason
├── ModelError            the model raised on an input that its signature allows
├── FileError             a file of rows that cannot be read or written
├── NotInstalled          what is asked for needs a package that is not there
├── RemoteError           a deployed service that does not answer as the version here
├── ArtifactError         a version on disk that must not serve
├── PublishError          an estimator that cannot be published
├── RepositoryError       a model repository that cannot be changed
└── RolloutError          a rollout that cannot begin, or went back

Each message is one sentence that its reader can act on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

# The most bad cells or warnings that one answer lists; the rest are counted.
MAX_LISTED = 20


_PATH = re.compile(r"(?<![\w/])/(?:[\w.@-]+/)+[\w.@-]*")


def without_paths(text: str) -> str:
    """Another library's words with every absolute path taken out: callers learn nothing of the machine."""
    return _PATH.sub("…", text)


class TepalError(Exception):
    """Base of everything that Tepal raises on purpose; ``str()`` is the sentence to show."""


class InputError(TepalError):
    """What a caller sent cannot be used."""


class Malformed(InputError):
    """The bytes cannot be read as the format that they claim or look like."""


class TooLarge(InputError):
    """What the bytes inflate to is more than may be; the message names the limit and its setting."""

    def __init__(self, most_mb: int):
        super().__init__(f"the body inflates to more than {most_mb} MiB; send fewer rows at once, or raise MAX_BODY_MB")


class Invalid(InputError):
    """Well-formed input that the signature does not allow.

    details: one dict for every bad cell with any of the keys ``row`` (from 0), ``column``, ``expected``,
    ``got`` and ``near``, the first ``MAX_LISTED`` of ``total``. Empty where the fault has no cell.
    """

    def __init__(self, message: str, details: Sequence[dict[str, Any]] = (), total: int = 0):
        super().__init__(message)
        self.details = list(details)
        self.total = total


class BadCells:
    """Collects every bad cell of one input, so that a caller can mend them all at once."""

    def __init__(self) -> None:
        self._sentence = ""
        self._details: list[dict[str, Any]] = []
        self._total = 0

    @property
    def full(self) -> bool:
        """Whether further cells are only counted, so that describing one would be wasted."""
        return self._total >= MAX_LISTED

    def count(self, cells: int = 1) -> None:
        """Count cells that are not described."""
        self._total += cells

    def add(self, sentence: str, **detail: Any) -> None:
        """Add a cell. sentence: what is said of it if it is the first. detail: as ``Invalid.details``."""
        self._total += 1
        if self._total == 1:
            self._sentence = sentence
        if self._total <= MAX_LISTED:
            self._details.append(detail)

    @property
    def total(self) -> int:
        """How many there are, those that are only counted included."""
        return self._total

    def invalid(self) -> Invalid:
        """The refusal, of at least one cell."""
        return Invalid(self._sentence, self._details, self._total)

    def raise_any(self) -> None:
        """Raise Invalid about the cells that were added, if any were."""
        if self._total:
            raise self.invalid()


class NotFound(TepalError):
    """No such model or version; the message lists what there is."""


class NotReady(TepalError):
    """The model or version exists, or may yet, and cannot serve now."""


class ModelError(TepalError):
    """The model raised on an input that its signature allows. The cause is for the log, not for the caller."""


class FileError(TepalError):
    """A file of rows that cannot be read, or one of predictions that cannot be written."""


class NotInstalled(TepalError):
    """What is asked for needs a package that is not there; the message says how to install it."""


class RemoteError(TepalError):
    """A deployed service that cannot be asked, or does not answer as the version here did when it was published."""


class ArtifactError(TepalError):
    """A version on disk that must not serve: damaged, made by other libraries, or not answering as recorded."""


class PublishError(TepalError):
    """An estimator that cannot be published as it is; the message says what to do."""


class RepositoryError(TepalError):
    """The model repository cannot be changed as asked; the message says what to do."""


class RolloutError(TepalError):
    """A rollout that cannot begin, or that went back; the message says why."""
