"""The compiled form of a version that is loaded: whether it may answer, here and now."""

from __future__ import annotations

from tepal import proof, selftest
from tepal.artifact import installed
from tepal.errors import ArtifactError
from tepal.manifest import Manifest
from tepal.notes import Notes
from tepal.runtime.compiled.forms import NotCompilable
from tepal.runtime.compiled.runtime import CompiledRuntime, Form
from tepal.runtime.sklearn import SklearnRuntime
from tepal.wire.json import JsonReader

# Rows that are made of the golden ones where the proof was with other libraries than are here.
AGAIN = 2000


def opened(manifest: Manifest, itself: SklearnRuntime) -> CompiledRuntime:
    """The compiled form, where the manifest has its proof and it answers the golden rows.

    Where a library is another than in the proof, it is proven again, on fewer rows. Raises NotCompilable with the reason.
    """
    recorded = manifest.runtime
    if recorded is None:
        raise NotCompilable("it was published before models were compiled; publish it again")
    if not recorded.compiled:
        raise NotCompilable(recorded.reason or "there is no proof")
    form = Form(itself.estimator, manifest.signature, manifest.outputs)
    runtime = CompiledRuntime(form, itself)
    try:
        selftest.replay(manifest.signature, runtime, manifest.golden)
        if any(installed(package) != version for package, version in manifest.packages.items()):
            reader = JsonReader(manifest.signature)
            table = reader.read(selftest.body(manifest.golden), Notes())
            proof.prove(form, itself, table, manifest.golden.scale, AGAIN)
    except (ArtifactError, proof.Unequal) as error:
        raise NotCompilable(f"its compiled form is not equal here: {error}") from None
    return runtime
