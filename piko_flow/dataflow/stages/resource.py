"""What a stage needs opened while it runs: clients, pools, connections."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, Literal, NoReturn, Protocol, TypeVar, runtime_checkable

from piko_flow.dataflow.graph.function import misfit, signature_of
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.stages.stage import describe
from piko_flow.errors import PipelineError
from piko_flow.known_names import unknown_options_refused
from piko_flow.tasks import first_cause

RESOURCE: Final = "an async context manager function or an object with acquire(info)"
GIVE_A_FUNCTION: Final = "Give a function that opens it: @contextlib.asynccontextmanager, async def, yield"
OPENING: Final = "while opening the resource "
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class RunInfo:
    """What a resource may know of the run that opens it; a bare pipeline has one too.

    `claim` grows each time that the run is taken up, by whatever process, so that what each has prepared is told apart.
    """

    run: str
    flow: str = ""
    attempt: int = 1
    window_start: datetime | None = None
    window_end: datetime | None = None
    claim: int = 1


@runtime_checkable
class Acquirable(Protocol[T_co]):
    """An object whose `acquire(info)` gives an async context manager."""

    def acquire(self, info: RunInfo) -> AbstractAsyncContextManager[T_co]: ...


@unknown_options_refused
@dataclass(frozen=True)
class Resource(Generic[T]):
    """A resource with a scope: opened for each run, or once for the application.

    `opens` is a function marked as async context manager (taking nothing, or the RunInfo), or an object
    with `acquire(info)`. With `scope="app"` the ResourcePool of the application keeps it open; a run
    without such a pool opens it for itself.
    """

    opens: Callable[..., AbstractAsyncContextManager[T]] | Acquirable[T]
    scope: Literal["run", "app"] = "run"

    def __post_init__(self) -> None:
        if self.scope not in ("run", "app"):
            _refuse('scope must be "run" or "app"', f"got {self.scope!r}")
        if reason := not_resource(self.opens):
            _refuse(f"it opens {RESOURCE}", *reason)


def _refuse(rule: str, got: str, advice: str = "") -> NoReturn:
    raise PipelineError(what="Resource", where=str(caller()), rule=rule, got=got, advice=advice)


def not_resource(value: Any) -> tuple[str, str] | None:
    """Why `uses=` cannot take this value, as what was given and what to do; None if it can.

    Only the shape of the value is looked at; nothing is called or opened.
    """
    decorate = "Decorate the function with contextlib.asynccontextmanager"
    if isinstance(value, Resource):
        return None
    if isinstance(value, Acquirable):
        if isinstance(value, type) and inspect.isfunction(value.acquire):
            return f"got {describe(value)}", f"Make one: {value.__name__}(...)"
        if not callable(value.acquire) or inspect.iscoroutinefunction(value.acquire):
            return (
                f"the acquire of {describe(value)} is not one that gives a context manager",
                GIVE_A_FUNCTION,
            )
        reason = misfit(value.acquire, 1)
        return (f"acquire(info) of {describe(value)}: {reason}", GIVE_A_FUNCTION) if reason else None
    if hasattr(value, "__aenter__") and not isinstance(value, type):
        return f"got {describe(value)}, which can be entered once or is open", GIVE_A_FUNCTION
    named = isinstance(value, functools.partial) or hasattr(value, "__name__")
    if not callable(value) or not named:  # an object that can be called, as a model can, does something else
        return f"got {describe(value)}", GIVE_A_FUNCTION
    if signature_of(value).shape != "plain":
        return f"got {describe(value)}, which gives no context manager", decorate
    if isinstance(value, type) and not hasattr(value, "__aenter__"):
        return f"got {describe(value)}, whose objects are no async context managers", GIVE_A_FUNCTION
    if misfit(value, 0) and (reason := misfit(value, 1)):
        return f"{name_of(value)} is called with nothing or with the RunInfo: {reason}", decorate
    return None


def name_of(resource: Any) -> str:
    opens = resource.opens if isinstance(resource, Resource) else resource
    return getattr(opens, "__name__", "") or type(opens).__name__


def open_resource(value: Any, info: RunInfo) -> AbstractAsyncContextManager[Any]:
    """The async context manager behind a resource. Raises TypeError when the function gives something else."""
    opens = value.opens if isinstance(value, Resource) else value
    if isinstance(opens, Acquirable):
        manager: Any = opens.acquire(info)
    else:
        manager = opens(info) if _takes_info(opens) else opens()
    if not hasattr(manager, "__aenter__"):
        raise TypeError(
            f"the resource {getattr(opens, '__name__', opens)!r} must give an async context manager, "
            f"it gave {type(manager).__name__}"
        )
    return manager  # type: ignore[no-any-return]  # checked by its method


def note_opening(error: BaseException, name: str, resource: Any) -> None:
    """Note on an error, and on the first of a group, that it was raised while this resource was opened."""
    for one in {id(one): one for one in (error, first_cause(error))}.values():
        if not opening_note(one):  # the same error may be raised again
            one.add_note(f"{OPENING}{name!r} ({name_of(resource)})")


def opening_note(error: BaseException) -> str:
    """What `note_opening` has noted, to be put behind the text of the error; empty where nothing is."""
    notes = [note for note in getattr(error, "__notes__", ()) if str(note).startswith(OPENING)]
    return f" ({notes[0]})" if notes else ""


def _takes_info(opens: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(opens).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters
    )
