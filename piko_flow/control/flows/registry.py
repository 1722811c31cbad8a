"""Flows by name: the white list of what an application can run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from types import CodeType
from typing import Any, Generic, NoReturn, Protocol

from typing_extensions import TypeVar

from piko_flow.dataflow.graph.origin import Origin
from piko_flow.errors import FlowError

NO_PACKAGE = "was a package given? Name it with -p/--package or in PIKO_PACKAGES"
NAMED = 10  # flows that a message names


@dataclass(frozen=True)
class Site:
    """Where a flow was registered: the module, the function that it is (empty for a pipeline), and the line.

    `code` is the code that ran then: the same line of it run again is the same registration.
    """

    module: str
    function: str
    origin: Origin
    code: CodeType | None = field(default=None, compare=False, repr=False)

    def replaces(self, other: Site) -> bool:
        """Whether a registration here is the one over there, made again: a cell run twice, a module loaded anew."""
        if (self.module, self.function) != (other.module, other.function):
            return False
        two_lines = self.code is not None and self.code is other.code and self.origin != other.origin
        return not two_lines


class Registered(Protocol):
    """What a registry needs to know of a flow."""

    @property
    def name(self) -> str: ...
    @property
    def site(self) -> Site: ...
    @property
    def stateful(self) -> bool: ...
    @property
    def after(self) -> str | None: ...


F = TypeVar("F", bound=Registered, default=Any)


class Registry(Mapping[str, F], Generic[F]):
    """Flows by name, in the order of their names."""

    def __init__(self) -> None:
        self._flows: dict[str, F] = {}

    def add(self, flow: F) -> None:
        """Take a flow in; one that was registered at the same place before is replaced.

        Raises FlowError when the name is another flow's. Databases may not tell upper from lower case, so
        names that differ in nothing else count as one.
        """
        for name in [flow.name] if flow.name in self._flows else self._alike(flow.name):
            known = self._flows[name]
            if name != flow.name or not flow.site.replaces(known.site):
                _refuse_second(flow, known)
        self._flows[flow.name] = flow

    def remove(self, name: str) -> None:
        """Forget the flow. Raises KeyError when there is none of this name."""
        self[name]
        del self._flows[name]

    def __getitem__(self, name: str) -> F:
        if name not in self._flows:
            raise KeyError(self.unknown(name))
        return self._flows[name]

    def __contains__(self, name: object) -> bool:
        return name in self._flows

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._flows))

    def __len__(self) -> int:
        return len(self._flows)

    def unknown(self, name: str) -> str:
        """What to say of a name that is not here: with the nearest one, or with what there is."""
        if not self._flows:
            return f"no flow is registered as {name!r}, nor any other: {NO_PACKAGE}"
        return f"no flow is registered as {name!r}; {others(name, list(self))}"

    def check(self) -> None:
        """Check what can be known only when every flow is here. Raises FlowError for the first that is wrong.

        What `after=` names is a stateful flow, and no flow waits for itself over others.
        """
        upstream = {flow.name: flow.after for flow in self.values() if flow.after is not None}
        for name, other in upstream.items():
            if other not in self._flows:
                _refuse(self._flows[name], "after= names a registered flow", self.unknown(other))
            if not self._flows[other].stateful:
                got = f"{other!r} ({self._flows[other].site.origin}) keeps no ledger of windows"
                advice = "Register it with stateful=True"
                _refuse(self._flows[name], "after= names a stateful flow", got, advice)
        try:
            TopologicalSorter({name: [other] for name, other in upstream.items()}).prepare()
        except CycleError as error:
            circle = error.args[1]
            rule = "flows do not wait for each other in a circle"
            _refuse(self._flows[circle[0]], rule, " before ".join(circle))

    def _alike(self, name: str) -> list[str]:
        folded = name.casefold()
        return [known for known in self._flows if known.casefold() == folded]


_collecting: ContextVar[Registry[Any] | None] = ContextVar("collecting", default=None)


@contextmanager
def collecting(registry: Registry[Any]) -> Iterator[None]:
    """Inside the block, in this thread or task, flows registered without `registry=` go into this one."""
    token = _collecting.set(registry)
    try:
        yield
    finally:
        _collecting.reset(token)


def registry_in_force(default: Registry[F]) -> Registry[F]:
    """The registry of the innermost `collecting` block; the default outside of one."""
    chosen = _collecting.get()
    return default if chosen is None else chosen  # an empty registry is false


def others(name: str, known: Sequence[str]) -> str:
    """What to say of flows that there are, where one is asked for that is none of them: the nearest name, or the first."""
    if close := get_close_matches(name, known, n=1):
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(known[:NAMED])}{', ...' if len(known) > NAMED else ''}"


def _refuse_second(flow: Registered, known: Registered) -> NoReturn:
    got = f"{known.name!r} is registered at {known.site.origin}"
    if known.site.module != flow.site.module:
        got += f" (module {known.site.module})"
    _refuse(flow, "a name belongs to one flow", got, "Give one of them another name")


def _refuse(flow: Registered, rule: str, got: str, advice: str = "") -> NoReturn:
    where = str(flow.site.origin)
    raise FlowError(what=f"flow {flow.name!r}", where=where, rule=rule, got=got, advice=advice)
