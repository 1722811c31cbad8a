"""The reference, written from docstrings and signatures: `python -m tests.docs.reference` writes docs/reference.md."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from types import FunctionType
from typing import Any

from piko_flow.connectors.input_files import ReadOptions
from piko_flow.dataflow.stages.source import SourceOptions
from piko_flow.dataflow.stages.stage import Stage
from piko_flow.dataflow.stages.stage_options import CallOptions, OptionValues
from tests.architecture.checkout import ROOT
from tests.docs.subjects import INTRODUCTION, MADE_FOR_YOU, NOT_FOR_YOU, RAISED_BY_YOU, SUBJECTS

PAGE = ROOT / "docs" / "reference.md"
EXPANDED: dict[str, Any] = {
    "Unpack[OptionValues]": OptionValues,
    "Unpack[ReadOptions]": ReadOptions,
    "Unpack[SourceOptions]": SourceOptions,
}
LONGEST = 80  # characters of a default that a signature shows
SINK = "Sink"  # checks its options by itself, so its signature does not tell them


def reference() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for subject in SUBJECTS:
        if subject.title:
            parts.append(f"## {subject.title}")
        if subject.text:
            parts.append(subject.text)
        for name in subject.names.split():
            parts += _entry(subject.module, name)
    return "\n\n".join(parts) + "\n"


def _entry(module: str, name: str) -> Iterator[str]:
    thing = getattr(import_module(module), name)
    yield f"### {name}"
    yield f"`{module}.{signature(name, thing)}`"
    yield promise(thing)
    if name in MADE_FOR_YOU and is_dataclass(thing):
        yield f"Fields: {', '.join(f'`{one.name}`' for one in fields(thing) if one.name[0] != '_')}."
    if isinstance(thing, type) and (members := list(_members(thing))):
        yield "\n".join(members)


def promise(thing: object) -> str:
    """The docstring, without the examples that follow a `::`."""
    text = inspect.cleandoc(thing.__doc__ or "")
    return re.sub(r" ?[^.\n]*(?:\n[^.\n]+)*::\n\n(?: {4}.*\n?|\n)+", "\n\n", text).strip()


def signature(name: str, thing: Any) -> str:
    """How it is called; the name alone of what nobody calls."""
    if name in MADE_FOR_YOU or getattr(thing, "_is_protocol", False):
        return name
    if isinstance(thing, type) and issubclass(thing, Exception) and name not in RAISED_BY_YOU:
        return name
    if isinstance(thing, type) and is_dataclass(thing) and thing.__dataclass_params__.init:  # type: ignore[attr-defined]
        return f"{name}({', '.join(_field(one) for one in fields(thing) if one.init)})"
    function = vars(thing).get("__init__") if isinstance(thing, type) else thing
    if not isinstance(function, FunctionType):
        return name
    without = {"self", *(f"{option}={_default(option)}" for option in getattr(thing, "_without", ()))}
    given = [one for one in _parameters(function) if one not in without]
    if name == SINK:
        given += [f"{option}={_default(option)}" for option in OptionValues.__annotations__]
    return f"{name}({', '.join(given)})"


def _parameters(function: FunctionType) -> Iterator[str]:
    met: set[str] = set()
    for one in inspect.signature(inspect.unwrap(function)).parameters.values():
        met.add(one.name)
        if one.kind is one.VAR_KEYWORD:
            for option in getattr(EXPANDED.get(str(one.annotation)), "__annotations__", {}):
                if option not in met:
                    yield f"{option}={_default(option)}"
        elif one.kind is one.VAR_POSITIONAL:
            yield f"*{one.name}"
        else:
            yield one.name if one.default is one.empty else f"{one.name}={_shown(one.default)}"


def _default(option: str) -> str:
    default = getattr(CallOptions(), option, None)
    return _shown(None if default == {} else default)


def _field(one: Any) -> str:
    default = one.default if one.default_factory is MISSING else one.default_factory()
    return one.name if default is MISSING else f"{one.name}={_shown(default)}"


def _shown(default: object) -> str:
    if isinstance(default, type):
        return default.__name__
    if is_dataclass(default) and len(repr(default)) > LONGEST:
        return f"{type(default).__name__}(...)"
    return f'"{default}"' if isinstance(default, str) and '"' not in default else repr(default)


def _members(kind: type) -> Iterator[str]:
    """A line for each public method and property that the class promises something of; stages have `>>` alone."""
    if issubclass(kind, Stage) and kind.__name__ not in ("Pipeline", "SourceLike"):
        return
    bases = [base for base in reversed(kind.__mro__) if base is kind or base.__name__ == "RunFacts"]
    for name, member in ((name, member) for base in bases for name, member in vars(base).items()):
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        hidden = name.startswith("_") or {name, f"{kind.__name__}.{name}"} & NOT_FOR_YOU
        if hidden or not isinstance(function, FunctionType) or not function.__doc__:
            continue
        first = " ".join(inspect.cleandoc(function.__doc__).split("\n\n")[0].split())
        bound = function.__code__.co_argcount > 0 and not isinstance(member, staticmethod)
        given = ", ".join(list(_parameters(function))[bound:])
        call = name if isinstance(member, property) else f"{name}({given})"
        yield f"* `{'await ' * inspect.iscoroutinefunction(function)}{call}`: {first}"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
