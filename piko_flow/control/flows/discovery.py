"""Finding flows: importing the modules of a package, so that what they register is known."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from piko_flow.control.flows.flow import Flow, default_registry, flows_of
from piko_flow.control.flows.registry import Registry, collecting
from piko_flow.errors import PikoFlowError, describe_error

PROGRAM = "__main__"  # a module that runs a program when it is imported


class DiscoveryFailed(PikoFlowError, ImportError):
    """Modules could not be imported, so their flows are not known; `failed` has each with its error."""

    def __init__(self, package: str, failed: dict[str, BaseException]) -> None:
        self.package, self.failed = package, failed
        lines = [f"  {name}: {_reason(error)}" for name, error in failed.items()]
        count = "a module" if len(failed) == 1 else f"{len(failed)} modules"
        super().__init__(f"{count} of {package!r} cannot be imported:\n" + "\n".join(lines))


def discover(
    package: str, module_name: str | None = None, *, registry: Registry[Flow] | None = None
) -> list[Flow]:
    """Import every module below the package, or only those called `module_name`, and give the flows they register.

    `package` is a name that can be imported from the current folder or among the installed ones, or the path
    of a folder or a Python file. The flows are in `registry` (the default registry if None) afterwards, also those
    of modules that were imported before. Modules called `__main__` are left alone. Whether the flows go together
    is `Registry.check`'s to say, when all are there. Raises DiscoveryFailed with all modules that cannot be
    imported, among them those that register a name which is taken.
    """
    chosen = default_registry if registry is None else registry
    failed: dict[str, BaseException] = {}
    names: list[str] = []
    with collecting(chosen):
        root = _root(package)
        for name in _modules(root, module_name):
            if any(name.startswith(f"{broken}.") for broken in failed):
                continue  # its package is told already
            try:
                importlib.import_module(name)
            except (Exception, SystemExit) as error:  # a module may raise anything while it is imported
                failed[name] = error
            else:
                names.append(name)
    if failed:
        raise DiscoveryFailed(package, failed) from next(iter(failed.values()))
    for flow in [flow for name in names for flow in flows_of(name)]:
        if chosen.get(flow.name) is not flow:
            chosen.add(flow)  # its module was imported before
    return [flow for flow in chosen.values() if flow.site.module in names]


def _root(package: str) -> ModuleType:
    """Import the package itself."""
    folder = Path.cwd()
    name, path = package, Path(package)
    if package.endswith(".py") or "/" in package or not package.strip("."):
        if not path.exists():
            raise DiscoveryFailed(package, {package: FileNotFoundError(f"there is no {path}")})
        path = path.resolve()
        folder, name = path.parent, path.stem if path.is_file() else path.name
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        unknown = isinstance(error, ModuleNotFoundError) and error.name and name.startswith(error.name)
        cause = ModuleNotFoundError(_unknown(name)) if unknown else error
        raise DiscoveryFailed(package, {name: cause}) from error
    where = {Path(one).resolve() for one in getattr(module, "__path__", [getattr(module, "__file__", "")])}
    if name != package and path not in where:
        got = f"the name {name!r} belongs to {', '.join(map(str, where))}"
        raise DiscoveryFailed(package, {name: ImportError(f"{got}; rename the folder")})
    return module


def _unknown(name: str) -> str:
    nearby = [path.stem for path in Path.cwd().iterdir() if path.is_dir() or path.suffix == ".py"]
    close = get_close_matches(name.split(".")[0], nearby, n=1)
    text = f"there is no package {name!r} in {Path.cwd()} or among the installed ones"
    return f"{text}; did you mean {close[0]!r}?" if close else text


def _modules(root: ModuleType, module_name: str | None) -> Iterator[str]:
    """The names of the modules to import, the package itself first, then folder by folder in order."""
    if module_name is None or root.__name__.rpartition(".")[2] == module_name:
        yield root.__name__
    for folder in getattr(root, "__path__", ()):
        for name in _below(Path(folder), root.__name__):
            if module_name is None or name.rpartition(".")[2] == module_name:
                yield name


def _below(folder: Path, package: str) -> Iterator[str]:
    """The modules in a folder and the folders in it, with or without `__init__.py`."""
    for path in sorted(folder.iterdir()):
        name = path.stem if path.suffix == ".py" else path.name
        if not name.isidentifier() or name in (PROGRAM, "__init__", "__pycache__"):
            continue
        if path.suffix == ".py" and path.is_file():
            yield f"{package}.{name}"
        elif path.is_dir() and any(path.rglob("*.py")):
            if (path / "__init__.py").is_file():
                yield f"{package}.{name}"
            yield from _below(path, f"{package}.{name}")


def _reason(error: BaseException) -> str:
    """What a module's import raised, and the line of the module that led there."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.msg} ({Path(error.filename).name}:{error.lineno})"
    frames = [frame for frame in extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    own = [frame for frame in frames if frame.filename != __file__]
    at = (
        f" ({Path(own[-1].filename).name}:{own[-1].lineno})"
        if own and not isinstance(error, PikoFlowError)
        else ""
    )
    return f"{describe_error(error, 500)}{at}"
