"""Telling one pipeline from another by what its stages are and what their functions do."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from enum import Enum
from pathlib import PurePath
from types import CodeType, FunctionType, MethodType
from typing import Any, cast

from piko_flow.dataflow.graph.boxes import Graph
from piko_flow.dataflow.graph.function import Signature
from piko_flow.dataflow.graph.origin import Origin
from piko_flow.dataflow.stages.routing import On

PLAIN = (str, bytes, int, float, complex, bool, type(None), date, timedelta, PurePath, Enum)
DEEPEST = 12  # levels of objects inside objects that are looked into
MOST_VALUES = 10_000  # looked at; a pipeline that holds more data is told apart by the first ones
NOT_LOOKED_AT = {"name", "origin", "signature", "adapter", "branches", "sources", "parts"}


def fingerprint(graph: Graph) -> str:
    """A text that changes with the stages, their options, the code of their functions, or the joints.

    Code is what Python compiled, so another version of Python gives another fingerprint. What a function
    reaches through its globals is not looked into, nor what may change while a pipeline runs: the data behind
    a source, the state of objects, lists and dictionaries that a function holds.
    """
    digest = _Digest()
    for box in graph.boxes:
        digest.add(box.name, box.stage.kind)
        for attribute, value in sorted(vars(box.stage).items()):
            data = attribute == "items" and getattr(box.stage, "reads", "") in ("iterable", "async_iterable")
            if attribute not in NOT_LOOKED_AT and not data:
                digest.add(attribute)
                digest.value(_stable(value))
    digest.add(repr(graph.edges))
    return digest.hexdigest()


class _Digest:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._inside: list[int] = []
        self._left = MOST_VALUES

    def hexdigest(self) -> str:
        return self._hash.hexdigest()[:16]

    def add(self, *texts: str) -> None:
        for text in texts:
            self._hash.update(text.encode(errors="backslashreplace") + b"\0")

    def value(self, value: Any) -> None:
        """Add a value by what it holds; an object inside itself, and what lies too deep, by its type."""
        self._left -= 1
        if self._left < 0:
            return
        if isinstance(value, PLAIN):
            self.add(type(value).__name__, repr(value))
        elif id(value) in self._inside or len(self._inside) >= DEEPEST:
            self.add(type(value).__qualname__)
        else:
            self._inside.append(id(value))
            self._structure(value)
            self._inside.pop()

    def _structure(self, value: Any) -> None:
        if isinstance(value, functools.partial):
            self._all("partial", (value.func, value.args, tuple(value.keywords.items())))
        elif isinstance(value, MethodType):
            self._all("method", (value.__func__, value.__self__))
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, CodeType):
            self._code(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, (tuple, frozenset)):
            self._all(type(value).__name__, value if isinstance(value, tuple) else sorted(map(repr, value)))
        elif isinstance(value, range):
            self.add(repr(value))
        else:
            self._object(value)

    def _all(self, kind: str, values: Any) -> None:
        self.add(kind)
        for value in values:
            if self._left < 0:
                return
            self.value(value)

    def _function(self, function: FunctionType) -> None:
        cells = tuple(cell.cell_contents for cell in function.__closure__ or () if _filled(cell))
        self._all(
            function.__qualname__, (function.__code__, function.__defaults__, function.__kwdefaults__, cells)
        )

    def _code(self, code: CodeType) -> None:
        """What the code does: its instructions, the names and constants they use; not where it was written."""
        self._hash.update(code.co_code)
        self.add(repr((code.co_names, code.co_varnames, code.co_freevars)))
        self._all("constants", code.co_consts)

    def _class(self, kind: type) -> None:
        self.add(kind.__module__, kind.__qualname__)
        if kind.__module__ != "builtins":
            self.add(repr(sorted(getattr(kind, "__annotations__", {}).items(), key=lambda pair: pair[0])))
            for name, member in sorted(vars(kind).items()):
                if isinstance(member, FunctionType):
                    self.add(name)
                    self.value(member)

    def _object(self, value: Any) -> None:
        if isinstance(value, (Origin, Signature)):
            return
        if isinstance(value, On):
            self._all("on", (value.test,))
            return
        self.value(type(value))
        if is_dataclass(value) and cast(Any, value).__dataclass_params__.frozen:
            self._all("fields", [_stable(getattr(value, field.name)) for field in fields(value)])


def _stable(value: Any) -> Any:
    """An option's value as something that cannot change: options are frozen, though they may be a list or a dictionary."""
    if isinstance(value, Mapping):
        return tuple(value.items())
    return tuple(value) if isinstance(value, list) else value


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # asking is what raises
    except ValueError:
        return False
    return True
