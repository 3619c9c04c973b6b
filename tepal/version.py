"""One version of a model in memory: loaded, verified and self-tested; or why it must not serve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Literal

from tepal import artifact, compiled, selftest
from tepal.errors import ArtifactError, without_paths
from tepal.manifest import Manifest
from tepal.notes import SeenInTraining
from tepal.runtime.compiled.forms import NotCompilable
from tepal.runtime.compiled.runtime import CompiledRuntime
from tepal.runtime.sklearn import SklearnRuntime
from tepal.wire.formats import Readers

Runtime = SklearnRuntime | CompiledRuntime
RuntimeName = Literal["auto", "sklearn", "compiled"]


class Version:
    """A version that was loaded, verified and self-tested, with all that a request to it needs."""

    def __init__(
        self,
        manifest: Manifest,
        runtime: Runtime,
        cautions: Sequence[str] = (),
        load_seconds: float = 0.0,
        not_compiled: str | None = None,
    ):
        """not_compiled: why the estimator itself answers; None where its compiled form does."""
        self.name = manifest.name
        self.number = str(manifest.version)
        self.manifest = manifest
        self.cautions = cautions
        self.load_seconds = load_seconds
        self.runtime = runtime
        self.not_compiled = not_compiled
        self.readers = Readers(manifest.signature)
        self.seen = SeenInTraining(manifest.signature)


class BadVersion:
    """A version that must not serve, with the reason. It is listed, and touches no other."""

    def __init__(self, name: str, number: str, reason: str):
        self.name = name
        self.number = number
        self.reason = reason


def load(path: Path, *, allow_version_mismatch: bool = False, runtime: RuntimeName = "auto") -> Version:
    """Verify, unpickle and self-test the artifact in ``…/<name>/<version>``.

    runtime: ``auto`` for the compiled form where one was proven, else the estimator itself; or the name of one of them.
    Raises ArtifactError with the reason why it must not serve.
    """
    began = perf_counter()
    manifest, pickled = artifact.verify(path, allow_version_mismatch=allow_version_mismatch)
    try:
        estimator = artifact.load(pickled)
        itself = SklearnRuntime(estimator, manifest.outputs, manifest.signature.container, manifest.history)
        selftest.replay(manifest.signature, itself, manifest.golden)
        chosen, why_not = _runtime(manifest, itself, runtime)
        return Version(manifest, chosen, artifact.cautions(path), perf_counter() - began, why_not)
    except ArtifactError:
        raise
    except Exception as error:  # a pickle may hold anything; nothing in it may stop the other models
        raise ArtifactError(f"it cannot be loaded: {type(error).__name__}: {without_paths(str(error))}") from error


def _runtime(manifest: Manifest, itself: SklearnRuntime, wanted: RuntimeName) -> tuple[Runtime, str | None]:
    """What answers, and why it is not the compiled form where it is not."""
    if wanted == "sklearn":
        return itself, "RUNTIME is sklearn"
    try:
        return compiled.opened(manifest, itself), None
    except NotCompilable as error:
        if wanted == "compiled":
            raise ArtifactError(f"RUNTIME is compiled, and this version is not: {error}") from None
        return itself, str(error)
