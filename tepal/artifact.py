"""One version on disk: written whole, and verified before anything in it is unpickled.

A digest beside the file finds damage, not a forger: whoever can write the pickle can write its digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import shutil
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from tepal import manifest as manifests
from tepal.errors import ArtifactError, without_paths
from tepal.manifest import Manifest

# Their versions differ between one Python and the next under the same lock, or decide only whether a pickle opens at
# all, and golden rows tell whether it matters.
DECIDED_BY_GOLDEN_ROWS = frozenset({"numpy", "scipy", "joblib", "cloudpickle"})

# The minor version of this Python, which decides whether code by value can run.
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# What the folder of a version is called until it is whole; no model's version can be.
DRAFT = ".publishing-"

# The file in a model's folder that holds the highest number that was removed, which is not given again.
REMOVED = ".removed"

# The file in a model's folder that says which of its versions was chosen to answer.
CHOICE = "serving.json"


def verify(path: Path, *, allow_version_mismatch: bool = False) -> tuple[Manifest, bytes]:
    """Check the artifact in the folder ``path``, ``…/<name>/<version>``, without running anything in it.

    allow_version_mismatch: let libraries differ from those of the training; golden rows must then decide.
    Returns its manifest and the bytes of its pickle, which are the bytes that were checked.
    Raises ArtifactError with the reason why it must not serve.
    """
    manifest = manifests.read(path)
    contents = {}
    for name, digest in manifest.files.items():
        if Path(name).name != name:
            raise ArtifactError(f"the manifest names a file outside its folder: {name!r}")
        try:
            contents[name] = (path / name).read_bytes()
        except OSError as error:
            raise ArtifactError(f"{name} cannot be read: {error.strerror}") from None
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            raise ArtifactError(f"{name} is damaged: its sha256 is not the one in the manifest; publish the model again")
    if manifests.PICKLE not in contents:
        raise ArtifactError(f"the manifest lists no {manifests.PICKLE}")
    check_python(manifest)
    if not allow_version_mismatch:
        _check_packages(manifest)
    return manifest, contents[manifests.PICKLE]


def load(data: bytes) -> Any:
    """The estimator in a verified pickle. Raises ArtifactError where it cannot be opened."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a version that differs was allowed, and golden rows decide
            return pickle.load(io.BufferedReader(_InPieces(data), _InPieces.SIZE))  # noqa: S301 it is verified
    except (Exception, SystemExit) as error:  # a pickle may raise anything
        raise ArtifactError(
            f"{manifests.PICKLE} cannot be opened: {type(error).__name__}: {without_paths(str(error))}"
        ) from error


class _InPieces(io.RawIOBase):
    """Bytes as a file that is read in pieces, between which the other threads have their turn.

    So a large array is no large copy for which all requests to the process wait.
    """

    SIZE = 256 * 1024
    REST = 0.0001  # seconds: enough for a thread that waits to go first

    def __init__(self, data: bytes):
        self._left = memoryview(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        time.sleep(self.REST)
        piece = self._left[: min(len(buffer), self.SIZE)]
        buffer[: len(piece)] = piece
        self._left = self._left[len(piece) :]
        return len(piece)


def cautions(path: Path) -> list[str]:
    """What an operator should know of the files of an artifact that may serve all the same."""
    loose = [file for file in (path, *path.iterdir()) if file.lstat().st_mode & stat.S_IWOTH]
    return [f"{file.name} can be written by every user of this machine; run chmod o-w on it" for file in loose]


def installed(package: str) -> str | None:
    """The version of a package in this environment, None where it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def exact_packages(manifest: Manifest) -> dict[str, str]:
    """The packages with which a version was made, and with no other version of which it may serve."""
    return {package: version for package, version in manifest.packages.items() if package not in DECIDED_BY_GOLDEN_ROWS}


def build_command(python: str) -> str:
    """The command that builds the image for models that were made on that Python, such as ``3.11``."""
    return f"PYTHON={python} docker compose build"


def check_python(manifest: Manifest) -> None:
    """Raise ArtifactError where the pickle carries code that this Python cannot run."""
    if manifest.by_value and manifest.python_minor != PYTHON:
        raise ArtifactError(
            f"it carries code that was pickled by Python {manifest.python_minor}, which Python {PYTHON} cannot run; "
            f"build the image for it: {build_command(manifest.python_minor)} "
            f"(without Docker: use Python {manifest.python_minor})"
        )


def _check_packages(manifest: Manifest) -> None:
    made = exact_packages(manifest)
    differ = {package: installed(package) for package, version in made.items() if installed(package) != version}
    if differ:
        there = ", ".join(f"{package} {made[package]}" for package in differ)
        here = ", ".join(f"{package} {version}" if version else f"no {package}" for package, version in differ.items())
        raise ArtifactError(
            f"it was made with {there} on Python {manifest.python_minor}, here is {here} on Python {PYTHON}; "
            f"build the image for it: {build_command(manifest.python_minor)} "
            f"(without Docker: python -m tepal requirements > r.txt && pip install -r r.txt)"
        )


def write(home: Path, pickled: bytes, manifest: Manifest) -> tuple[int, Path]:
    """Write the next version of a model: its number and its folder, ``home/<number>``.

    The folder is filled beside the versions, flushed, then renamed, so that a reader sees all of it or none.
    Raises OSError where it cannot be written.
    """
    home.mkdir(parents=True, exist_ok=True)
    with locked(home):
        for left_over in home.glob(f"{DRAFT}*"):  # of a publish that was killed: the lock is ours
            shutil.rmtree(left_over, ignore_errors=True)
        version = 1 + max(*_numbers(home), _removed(home))
        draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=home))
        try:
            _write_file(draft / manifests.PICKLE, pickled)
            numbered = msgspec.json.encode(msgspec.structs.replace(manifest, version=version))
            _write_file(draft / manifests.FILE, msgspec.json.format(numbered, indent=1) + b"\n")
            draft.chmod(0o755)  # a container's own user reads it too
            flush(draft)
            draft.rename(home / str(version))
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        flush(home)
    return version, home / str(version)


def remove(home: Path, version: str, check: Callable[[], object] = bool) -> list[str]:
    """Remove a version of the model whose folder is ``home``; with its last version the model goes too.

    check: called while nobody else can choose a version or remove one; what it raises ends this.

    It is renamed first, so that a reader sees all of it or none; a service drops it within a second. The number is not
    given again while the model is there. Returns the numbers that are left, ascending.
    Raises OSError where it is not there, or cannot be removed.
    """
    with locked(home):
        check()
        draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=home))
        try:
            (home / version).rename(draft / version)
        finally:
            if not (draft / version).exists():
                draft.rmdir()
        left = _numbers(home)[1:]
        if left:
            _write_file(home / REMOVED, f"{max(int(version), _removed(home))}\n".encode())
        shutil.rmtree(draft)
        if not left:
            for file in (REMOVED, CHOICE):
                (home / file).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # something else is in it
                home.rmdir()
    return [str(number) for number in left]


def _numbers(home: Path) -> list[int]:
    """0, and the numbers of a model's versions, ascending."""
    return [0, *sorted(int(path.name) for path in home.iterdir() if manifests.VERSION.fullmatch(path.name))]


def _removed(home: Path) -> int:
    try:
        return int((home / REMOVED).read_text())
    except (OSError, ValueError):
        return 0


def _write_file(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o644)


def flush(folder: Path) -> None:
    if sys.platform == "win32":  # opens no folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold off other publishers of the same model; a killed one lets go by itself."""
    try:
        import fcntl
    except ImportError:  # Windows, where the rename alone keeps versions whole
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
