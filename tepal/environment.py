"""What a pickle needs where it is opened: modules, and the packages that they come from.

An estimator refers to classes and functions by the module that holds them. A module of the standard library or of
an installed package is named in the pickle, and the package is recorded; a module of the user's own goes into the
pickle by value, because nobody else has it.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import importlib.util
import io
import json
import pickle
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import cloudpickle

from tepal.errors import PublishError

# What every model's answers come from, whether its pickle names them or not.
ALWAYS = ("scikit-learn", "numpy", "scipy")


class Pickled(NamedTuple):
    """An estimator as bytes.

    packages: names on the package index of what the bytes need, with the versions here. by_value: whether code
    travels in them, which only the same minor version of Python can run.
    """

    data: bytes
    packages: dict[str, str]
    by_value: bool


def dump(estimator: Any, code: Collection[str] | None = None) -> Pickled:
    """Pickle an estimator so that it opens wherever the packages that it names are installed.

    code: names of the modules of the user's own that may travel by value; None for all that it needs.
    Raises PublishError that names what cannot travel.
    """
    carried: list[str] = []
    with contextlib.ExitStack() as stack:
        while True:
            data = _dumps(estimator)
            needed = modules(data)
            own = {name: used for name, used in needed.items() if is_own(name)}
            if not own:
                return Pickled(data, _packages(needed), "cloudpickle" in {_top(name) for name in needed})
            for name, used in own.items():
                _check_may_travel(name, used, code, carried)
                stack.enter_context(_by_value(sys.modules[name]))
                carried.append(name)


def given(code: str | Path | Collection[str | Path]) -> dict[str, ModuleType]:
    """The modules in files or package folders of the user's own, imported, by the names that a pickle has for them.

    A file in a package has the package's name before its own, as where it was imported. Raises PublishError for what
    cannot be imported.
    """
    paths = [code] if isinstance(code, (str, Path)) else code
    return {module.__name__: module for module in map(_imported, map(Path, paths))}


def modules(data: bytes) -> dict[str, str]:
    """The modules that opening a pickle, or running the code in it, imports, each with one name that is used of it.

    data: a pickle of the caller's own; it is opened, which runs what is in it.
    """
    recorder = _Recorder(io.BytesIO(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class that is to go, which its user knows
        recorder.load()
    return recorder.needed


def is_own(module: str) -> bool:
    """Whether a module belongs to neither the standard library nor a package that could be installed elsewhere."""
    top = _top(module)
    known = top in sys.stdlib_module_names or top in ("__main__", "tepal")
    return not known and distribution(module) is None and _is_here(module)


def distribution(module: str) -> str | None:
    """The name on the package index of what a module was installed from; None where it was not, or from a folder."""
    spec = getattr(sys.modules.get(module), "__spec__", None)
    module = module if spec is None or module == "__main__" else spec.name  # scikit-learn 1.5 has one under two names
    candidates = [name for name in dict.fromkeys(_distributions().get(_top(module), ())) if not _is_a_folder_here(name)]
    if len(candidates) > 1:  # parts of one namespace
        path = module.replace(".", "/")
        candidates = [name for name in candidates if any(str(file).startswith(path) for file in metadata.files(name) or ())]
    return candidates[0] if candidates else None


def versions(names: Collection[str]) -> dict[str, str]:
    """The versions here of packages, those that are not installed left out."""
    found = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _imported(path: Path) -> ModuleType:
    path = path.resolve()
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file() or file.suffix != ".py":
        raise PublishError(f"{path} is no Python file, and no folder of a package with an __init__.py")
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(file):
            return module
    parts = [path.stem]
    root = path.parent
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    name = ".".join(parts)
    if _top(name) in sys.modules:
        raise PublishError(f"{path.name} would be the module '{_top(name)}', which is another's name; rename the file")
    sys.path.insert(0, str(root))  # for what stands beside it
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # it is the user's own, and runs as it is imported
        raise PublishError(f"{path.name} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(root))


class _Recorder(pickle.Unpickler):
    """Opens a pickle, and notes every module that is asked for."""

    def __init__(self, file: io.BytesIO):
        super().__init__(file)
        self.needed: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        self.needed.setdefault(module, name)
        found = super().find_class(module, name)
        if _top(module) == "cloudpickle":
            # A module that code by value refers to is the argument of one function, its code that of another.
            return {"subimport": self._subimport, "_make_function": self._make_function(found)}.get(name, found)
        return found

    def _subimport(self, module: str) -> ModuleType:
        self.needed.setdefault(module, "")
        return importlib.import_module(module)

    def _make_function(self, make: Callable[..., FunctionType]) -> Callable[..., FunctionType]:
        def made(code: CodeType, scope: dict[str, Any], *rest: Any) -> FunctionType:
            for module in _imports(code, scope.get("__package__") or ""):
                self.needed.setdefault(module, "")
            return make(code, scope, *rest)

        return made


def _imports(code: CodeType, package: str) -> Iterator[str]:
    """The modules that a function imports when it runs, those of the functions inside it too."""
    steps = list(dis.get_instructions(code))
    for i, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            level = steps[i - 2].argval  # how many dots: pushed before the names that are taken
            with contextlib.suppress(ImportError):
                yield importlib.util.resolve_name("." * level + step.argval, package) if level else step.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports(constant, package)


def _dumps(estimator: Any) -> bytes:
    try:
        data: bytes = cloudpickle.dumps(estimator)
    except Exception as error:  # whatever a foreign object's __reduce__ raises
        raise PublishError(f"the estimator cannot be pickled: {type(error).__name__}: {error}") from error
    return data


def _check_may_travel(module: str, used: str, code: Collection[str] | None, carried: Collection[str]) -> None:
    what = f"the module '{module}'" + (f" (for {used})" if used else "")
    path = f"{module.replace('.', '/')}.py"
    if code is not None and not any(module == given or module.startswith(f"{given}.") for given in code):
        raise PublishError(
            f"the model needs {what}, which is part of no installed package; "
            f"if it is yours, give its file: --code {path} (from Python: code={path!r})"
        )
    if module in carried or module not in sys.modules:
        raise PublishError(
            f"the model needs {what}, which is imported inside a function and so cannot travel with it; "
            f"import it at the top of the file"
        )
    if not getattr(sys.modules.get(module), "__file__", "").endswith(".py"):
        raise PublishError(f"the model needs {what}, which is no Python file and is part of no installed package")


@contextlib.contextmanager
def _by_value(module: ModuleType) -> Iterator[None]:
    if module.__name__ in cloudpickle.list_registry_pickle_by_value():
        yield  # the user's own wish, which outlives ours
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _packages(needed: Collection[str]) -> dict[str, str]:
    named = {name for module in needed if (name := distribution(module)) is not None}
    return versions(sorted({*ALWAYS, *named}, key=str.lower))


def _is_here(module: str) -> bool:
    """Whether a module can be imported: what a function would import if it could is not needed where it is not."""
    if module in sys.modules:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


@functools.cache
def _is_a_folder_here(name: str) -> bool:
    """Whether a package was installed from a folder of this machine: its name on the index may be another's."""
    source = metadata.distribution(name).read_text("direct_url.json")
    return source is not None and "dir_info" in json.loads(source)


def _top(module: str) -> str:
    return module.partition(".")[0]
