"""A model that comes as a file, with no code of ours: a pickle, joblib's, or skops'."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import pickle
import re
import shlex
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib

import tepal
from tepal import environment
from tepal.errors import PublishError

# The oldest scikit-learn that Tepal is tested with.
OLDEST = (1, 5)

# What Python says of a class that its module does not hold.
_LACKING = re.compile(r"attribute '(?P<name>[^']+)' on <module '(?P<module>[^']+)'")
_VERSION = re.compile(rb"_sklearn_version.{1,12}?(\d+\.\d+\.\d+(?:rc\d+|\.post\d+)?)", re.DOTALL)


def estimator_in(
    path: Path, code: Mapping[str, ModuleType], trust: Collection[str] = (), arguments: Sequence[str] = ("publish", "…")
) -> Any:
    """The estimator in a file, which must be of a source that is trusted: opening a pickle runs what is in it.

    code: the user's own modules by name; what was pickled from a script's ``__main__`` is looked for in them.
    trust: the types in a ``.skops`` file that may be made, beyond those that skops itself trusts. arguments: of the
    command line that publishes it, to be shown.
    Raises PublishError that says what is missing, and PublishError with the command that makes an environment where
    the file can be published if another scikit-learn made it.
    """
    if not path.is_file():
        raise PublishError(f"there is no file {path}")
    is_skops = path.suffix == ".skops"
    with _standing_in_for_the_script(path, code), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            estimator = _load_skops(path, trust) if is_skops else joblib.load(path)
        except PublishError:
            raise
        except (Exception, SystemExit) as error:  # a pickle may raise anything
            _check_version(path, _versions_in(path), arguments)
            raise PublishError(f"{path.name} cannot be opened: {_why(error)}") from error
    _check_version(path, [getattr(note.message, "original_sklearn_version", "") for note in said], arguments)
    return estimator


def _why(error: BaseException) -> str:
    """What is missing, where the error tells."""
    lacking = _LACKING.search(str(error))
    module = str(error.name) if isinstance(error, ModuleNotFoundError) else lacking["module"] if lacking else ""
    garbled = module and not all(part.isidentifier() for part in module.split("."))
    if garbled or isinstance(error, (pickle.UnpicklingError, EOFError, IndexError, KeyError)):
        return "it is no whole pickle"
    if not module:
        return f"{type(error).__name__}: {error}"
    what = f"the module '{module}'" + (f" with '{lacking['name']}'" if lacking else "")
    return (
        f"it needs {what}, which is not here; if it is yours, give its file: --code {module.replace('.', '/')}.py; "
        f"else install the package that holds it"
    )


def _load_skops(path: Path, trust: Collection[str]) -> Any:
    try:
        import skops.io
    except ImportError:
        raise PublishError(f"{path.name} is a skops file, which needs skops: pip install skops") from None
    unknown = [name for name in skops.io.get_untrusted_types(file=path) if name not in trust]
    if unknown:
        options = " ".join(f"--trust {name}" for name in unknown)
        raise PublishError(
            f"{path.name} holds types that skops does not trust: {', '.join(unknown)}; if you do, name them: {options}"
        )
    return skops.io.load(path, trusted=list(trust))


@contextlib.contextmanager
def _standing_in_for_the_script(path: Path, code: Mapping[str, ModuleType]) -> Iterator[None]:
    """Let a class that was pickled from ``__main__`` be found in the user's own modules."""

    def found(name: str) -> Any:
        for module in code.values():
            if hasattr(module, name):
                return getattr(module, name)
        if name.startswith("__"):
            raise AttributeError(name)
        raise PublishError(
            f"{path.name} needs '{name}' of the script or notebook that pickled it; "
            f"give a file that defines it: --code FILE.py"
        )

    script = ModuleType("__main__")
    script.__getattr__ = found  # type: ignore[method-assign]
    ours = sys.modules["__main__"]
    sys.modules["__main__"] = script
    try:
        yield
    finally:
        sys.modules["__main__"] = ours


def _check_version(path: Path, made_with: Collection[str], arguments: Sequence[str]) -> None:
    here = environment.versions(["scikit-learn"])["scikit-learn"]
    others = Counter(version for version in made_with if version and version != here)
    if not others:
        return
    version = others.most_common(1)[0][0]
    what = f"{path.name} was made with scikit-learn {version}, here is {here}"
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise PublishError(f"{what}; Tepal needs {'.'.join(map(str, OLDEST))} or later, so fit the model again")
    raise PublishError(f"{what}; publish it from an environment of its own: {_command(path, version, arguments)}")


def _command(path: Path, version: str, arguments: Sequence[str]) -> str:
    """What a shell takes to publish the file with the scikit-learn that made it."""
    folder = f".venv-sklearn-{version}"
    source = Path(tepal.__file__).parent.parent
    if (source / "pyproject.toml").is_file():
        ours = "." if source == Path.cwd() else str(source)
    else:
        ours = f"tepal=={tepal.__version__}"
    pandas = " pandas" if b"feature_names_in_" in _uncompressed(path) else ""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"{python} -m venv {folder} && {folder}/bin/pip install scikit-learn=={version}{pandas} {ours} && "
        f"{folder}/bin/python -m tepal {shlex.join(arguments)}"
    )


def _versions_in(path: Path) -> list[str]:
    """The scikit-learn versions that a pickle names, read off its bytes: for one that cannot be opened."""
    return [version.decode() for version in _VERSION.findall(_uncompressed(path))]


def _uncompressed(path: Path) -> bytes:
    data = path.read_bytes()
    for decompress in (zlib.decompress, gzip.decompress, bz2.decompress, lzma.decompress):
        with contextlib.suppress(zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
            return decompress(data)
    return data
