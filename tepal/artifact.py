"""One version on disk: verified before anything in it is unpickled.

A digest beside the file finds damage, not a forger: whoever can write the pickle can write its digest.
"""

from __future__ import annotations

import hashlib
import io
import stat
import sys
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib

from tepal import manifest as manifests
from tepal.errors import ArtifactError
from tepal.manifest import Manifest

# Their versions differ between one Python and the next under the same lock, and golden rows tell whether it matters.
DECIDED_BY_GOLDEN_ROWS = frozenset({"numpy", "scipy"})


def verify(path: Path, *, allow_version_mismatch: bool = False) -> tuple[Manifest, bytes]:
    """Check the artifact in the folder ``path``, ``…/<name>/<version>``, without running anything in it.

    allow_version_mismatch: let libraries differ from those of the training; golden rows must then decide.
    Returns its manifest and the bytes of its pickle, which are the bytes that were checked.
    Raises ArtifactError with the reason why it must not serve.
    """
    manifest = manifests.read(path)
    if (manifest.name, str(manifest.version)) != (path.parent.name, path.name):
        raise ArtifactError(
            f"the manifest is of {manifest.name} version {manifest.version}; the folder was moved or renamed"
        )
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
    _check_python(manifest)
    if not allow_version_mismatch:
        _check_packages(manifest)
    return manifest, contents[manifests.PICKLE]


def load(data: bytes) -> Any:
    """The estimator in a verified pickle. Raises ArtifactError where it cannot be opened."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a version that differs was allowed, and golden rows decide
            return joblib.load(io.BytesIO(data))
    except Exception as error:  # a pickle may raise anything
        raise ArtifactError(f"{manifests.PICKLE} cannot be opened: {type(error).__name__}: {error}") from error


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


def _check_python(manifest: Manifest) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    there = ".".join(manifest.python.split(".")[:2])
    if manifest.by_value and here != there:
        raise ArtifactError(
            f"it carries code that was pickled by Python {there}, which Python {here} cannot run; "
            f"build the image for it: PYTHON={there} docker compose build"
        )


def _check_packages(manifest: Manifest) -> None:
    for package, version in manifest.packages.items():
        here = installed(package)
        if here != version and package not in DECIDED_BY_GOLDEN_ROWS:
            raise ArtifactError(
                f"it was made with {package} {version}, here is {here or 'none'}; train it again here, "
                f"or set ALLOW_VERSION_MISMATCH=true to serve it if it still answers its golden rows"
            )
