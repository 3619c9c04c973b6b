"""One version of a model in memory: loaded, verified and self-tested; or why it must not serve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from tepal import artifact, selftest
from tepal.errors import ArtifactError, without_paths
from tepal.manifest import Manifest
from tepal.notes import SeenInTraining
from tepal.runtime.sklearn import SklearnRuntime
from tepal.wire.formats import Readers


class Version:
    """A version that was loaded, verified and self-tested, with all that a request to it needs."""

    def __init__(self, manifest: Manifest, runtime: SklearnRuntime, cautions: Sequence[str] = (), load_seconds: float = 0.0):
        self.name = manifest.name
        self.number = str(manifest.version)
        self.manifest = manifest
        self.cautions = cautions
        self.load_seconds = load_seconds
        self.runtime = runtime
        self.readers = Readers(manifest.signature)
        self.seen = SeenInTraining(manifest.signature)


class BadVersion:
    """A version that must not serve, with the reason. It is listed, and touches no other."""

    def __init__(self, name: str, number: str, reason: str):
        self.name = name
        self.number = number
        self.reason = reason


def load(path: Path, *, allow_version_mismatch: bool = False) -> Version:
    """Verify, unpickle and self-test the artifact in ``…/<name>/<version>``.

    Raises ArtifactError with the reason why it must not serve.
    """
    began = perf_counter()
    manifest, pickled = artifact.verify(path, allow_version_mismatch=allow_version_mismatch)
    try:
        estimator = artifact.load(pickled)
        runtime = SklearnRuntime(estimator, manifest.outputs, manifest.signature.container, manifest.history)
        selftest.replay(manifest.signature, runtime, manifest.golden)
        return Version(manifest, runtime, artifact.cautions(path), perf_counter() - began)
    except ArtifactError:
        raise
    except Exception as error:  # a pickle may hold anything; nothing in it may stop the other models
        raise ArtifactError(f"it cannot be loaded: {type(error).__name__}: {without_paths(str(error))}") from error
