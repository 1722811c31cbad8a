"""Finding the pipeline that MODULE:NAME means."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from piko_flow.cli.mistakes import CommandMistake
from piko_flow.dataflow.stages.stage import Pipeline, SourceLike, Stage, closed, describe
from piko_flow.errors import PikoFlowError, describe_error


def load_pipeline(target: str) -> Pipeline:
    """The pipeline that the target means; a function without required arguments is called for it.

    `target` is `MODULE:NAME` or `MODULE`, where MODULE can be imported from the current folder or is a path
    ending in .py. Without a name the module must hold exactly one pipeline. Raises CommandMistake with what
    there is instead, and PipelineError for what is not a closed pipeline.
    """
    return closed(_load(target, parts_too=False), why="the command")


def load_stage(target: str) -> Stage:
    """Like `load_pipeline`, but any stage or chain of stages will do; unnamed where there is only one and no pipeline."""
    return _load(target, parts_too=True)


def _load(target: str, *, parts_too: bool) -> Stage:
    where, _, name = target.rpartition(":") if ":" in target else (target, "", "")
    if not where:
        raise CommandMistake(f"{target!r} names no module: write MODULE:NAME or path/to/file.py:NAME")
    module = import_module(where)
    found = _named(module, where, name) if name else _only(module, where, parts_too=parts_too)
    return _as_stage(found, f"{where}:{name}")


def import_module(where: str) -> ModuleType:
    """Import a module by name or by path; whatever it raises becomes a CommandMistake that tells the line."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        if where.endswith(".py") or "/" in where or Path(where).is_file() or not where.strip("."):
            return _import_file(Path(where))
        return importlib.import_module(where)
    except PikoFlowError:
        raise
    except (Exception, SystemExit) as error:  # a module may raise anything while it is imported
        if isinstance(error, ModuleNotFoundError) and error.name and where.startswith(error.name):
            raise CommandMistake(_no_module(where, error.name)) from None
        raise CommandMistake(f"cannot import {where}: {_import_error(error)}") from error


def _import_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise CommandMistake(f"{path} is a folder; name a Python file in it: {path / 'flows.py'}")
    if not path.is_file():
        raise CommandMistake(f"there is no file {path}")
    if path.suffix != ".py":
        raise CommandMistake(f"{path} is not a Python file, whose name ends in .py")
    path = path.resolve()
    sys.path.insert(0, str(path.parent))
    loaded = sys.modules.get(path.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    taken = loaded is not None or path.stem in sys.stdlib_module_names
    name = f"{path.stem}_file" if taken else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CommandMistake(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _no_module(where: str, missing: str) -> str:
    message = f"there is no module {missing!r} in {Path.cwd()} or among the installed ones"
    as_path = Path(*where.split(".")).with_suffix(".py")
    nearby = [path.stem for path in Path.cwd().glob("*.py")]
    close = get_close_matches(where.split(".")[0], nearby, n=1)
    if as_path.name != where and Path(where).suffix == ".py":
        return f"{message}; for a file write its path: ./{where}"
    return f"{message}; did you mean {close[0]}?" if close else message


def _import_error(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.msg} ({Path(error.filename).name}:{error.lineno})"
    return describe_error(error)


def _named(module: ModuleType, where: str, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            close = get_close_matches(name, [known for known in vars(module) if known[0] != "_"], n=1)
            hint = f"did you mean {close[0]}?" if close else _offer(module, where)
            raise CommandMistake(f"{where} has no {name!r}; {hint}") from None
    return found


def _only(module: ModuleType, where: str, *, parts_too: bool) -> Stage:
    found: dict[str, Stage] = _held(module, Pipeline)
    parts = {} if found else _parts(module)
    if parts_too:
        found = found or parts
    if len(found) != 1:
        what = "parts of pipelines" if parts else "pipelines"
        holds = f"{len(found)} {what}" if found else "no pipeline"
        raise CommandMistake(f"{where} holds {holds}; {_offer(module, where, parts_too=parts_too)}")
    return next(iter(found.values()))


def _held(module: ModuleType, kind: type[Any]) -> dict[str, Any]:
    """What the module holds of a kind, by name, each once."""
    by_identity = {id(value): name for name, value in vars(module).items() if isinstance(value, kind)}
    return {name: getattr(module, name) for name in by_identity.values()}


def _parts(module: ModuleType) -> dict[str, Stage]:
    """The module's chains that are no pipeline by name; its stages where it has no chain."""
    stages: dict[str, Stage] = _held(module, Stage)
    chains = {name: stage for name, stage in stages.items() if getattr(stage, "parts", None) is not None}
    return chains or stages


def _offer(module: ModuleType, where: str, *, parts_too: bool = False) -> str:
    if found := _held(module, Pipeline) or (_parts(module) if parts_too else {}):
        return "name one of them: " + ", ".join(f"{where}:{name}" for name in found)
    if opened := {name: stage for name, stage in _parts(module).items() if isinstance(stage, SourceLike)}:
        named = ", ".join(f"`{name}` ({stage.origin})" for name, stage in list(opened.items())[:5])
        return f"{named} {'has' if len(opened) == 1 else 'have'} no sink: add >> Sink(...)"
    makers = [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and _needs(value) == []
    ]
    if makers:
        return "name a function that gives one: " + ", ".join(f"{where}:{name}" for name in makers[:5])
    return "write one at its top: pipeline = Source(...) >> ... >> Sink(...)"


def _as_stage(found: Any, target: str) -> Stage:
    if isinstance(found, Stage):
        return found
    flow = sys.modules.get("piko_flow.control.flows.flow")
    if flow is not None and isinstance(found, flow.Flow):
        raise CommandMistake(_is_a_flow(found, target))
    if not callable(found) or isinstance(found, type):
        raise CommandMistake(f"{target} is {describe(found)}, not a pipeline or a function that gives one")
    if needed := _needs(found):
        raise CommandMistake(
            f"{target} needs {', '.join(needed)}; only a function without required arguments can be run by name"
        )
    try:
        made = found()
    except PikoFlowError:
        raise
    except Exception as error:  # the user's function may raise anything
        raise CommandMistake(f"{target}() failed: {_import_error(error)}") from error
    if not isinstance(made, Stage):
        raise CommandMistake(f"{target}() gave {describe(made)}, not a pipeline")
    return made


def _is_a_flow(flow: Any, target: str) -> str:
    """What to say of a flow where a pipeline is wanted: what a flow runs is known only with its run."""
    where = target.rpartition(":")[0]
    package = f"./{where}" if where.endswith(".py") and "/" not in where else where
    return (
        f"{target} is the flow {flow.name!r}, not a pipeline or a function that gives one; why it is not running "
        f"tells piko-flow explain {flow.name} --package {package}"
    )


def _needs(function: Any) -> list[str]:
    """The names of the arguments that a function cannot do without."""
    return [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
