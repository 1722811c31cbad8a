"""What a flow's function knows of the run that it works for, and what it can do there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, overload

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from piko_flow.clock import now
from piko_flow.planning.window import Window

P_co = TypeVar("P_co", covariant=True, default=Any)
A = TypeVar("A")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
KEPT = 100_000  # emitted items that a bare run keeps for a test to look at


class Cpu(Protocol):
    """Worker processes, as one run may use them."""

    async def submit(self, function: Callable[[Unpack[Ts]], T], /, *arguments: *Ts) -> T:
        """Call a plain function in a worker process and give its result, or raise what it raised.

        Waits while the run keeps as many workers busy as one run may. Cancelling ends the call.
        """
        ...

    async def map(
        self, function: Callable[[A], T], items: Iterable[A], /, *, concurrency: int | None = None
    ) -> list[T]:
        """Call a plain function on each item in worker processes; results in the order of the items.

        At most `concurrency` workers at once, and never more than one run may keep busy. The first call that
        fails ends the others, and its error is raised.
        """
        ...


class Surroundings(Protocol):
    """What a run can reach beyond itself."""

    def cpu(self) -> Cpu: ...
    async def emit(self, payload: Any, to: str, key: str | None) -> None: ...
    async def check_claim(self) -> None: ...


class RunContext(Generic[P_co]):
    """One run as its flow's function sees it.

    `id` is the run's number and `flow` the flow's name. `window` is the span of event time that the run
    covers, None for a flow without state. `scheduled_time` is when it was due. `params` are the flow's model, or
    a dictionary where the flow has none. `attempt` counts from 1.
    """

    __slots__ = ("_logger", "_surroundings", "attempt", "flow", "id", "params", "scheduled_time", "window")

    def __init__(
        self,
        *,
        run_id: int,
        flow: str,
        scheduled_time: datetime,
        params: P_co,
        surroundings: Surroundings,
        window: Window | None = None,
        attempt: int = 1,
    ) -> None:
        self.id, self.flow, self.attempt = run_id, flow, attempt
        self.scheduled_time, self.params = scheduled_time, params
        # For a type checker a flow with windows need not prove that it has one.
        self.window: Window | Any = window
        self._surroundings = surroundings
        self._logger: RunLogger | None = None

    @property
    def cpu(self) -> Cpu:
        """The worker processes: `await run.cpu.submit(function, 1)`, `await run.cpu.map(function, items)`."""
        return self._surroundings.cpu()

    @property
    def logger(self) -> RunLogger:
        """A logger whose records have the fields `run`, `flow` and `attempt`."""
        if self._logger is None:
            about = {"run": self.id, "flow": self.flow, "attempt": self.attempt}
            self._logger = RunLogger(logging.getLogger(f"piko_flow.flow.{self.flow}"), about)
        return self._logger

    async def emit(self, payload: Any, *, to: str, key: str | None = None) -> None:
        """Hand a payload to the sink that is registered as `to`; waits while that is full.

        Returns when the sink's spool has the payload on the disk: it is written when the sink can, also after a crash.
        With `spool=False` of `App.register_sink` it is written before the run ends, and a sink that fails on it fails
        the run. `key` names the item for sinks that must not write it twice.
        """
        await self._surroundings.emit(payload, to, key)

    async def check_claim(self) -> None:
        """Raise ClaimLost if the run was taken from this replica, so that nothing more may be written."""
        await self._surroundings.check_claim()

    def __repr__(self) -> str:
        covers = "" if self.window is None else f" {self.window}"
        return f"<run {self.id} of {self.flow!r}{covers}, attempt {self.attempt}>"

    @overload
    @staticmethod
    def for_test(
        params: None = None,
        *,
        window: Window | tuple[datetime, datetime] | None = ...,
        scheduled_time: datetime | None = ...,
        flow: str = ...,
        run_id: int = ...,
        attempt: int = ...,
    ) -> BareRun[dict[str, Any]]: ...
    @overload
    @staticmethod
    def for_test(
        params: T,
        *,
        window: Window | tuple[datetime, datetime] | None = ...,
        scheduled_time: datetime | None = ...,
        flow: str = ...,
        run_id: int = ...,
        attempt: int = ...,
    ) -> BareRun[T]: ...
    @staticmethod
    def for_test(
        params: Any = None,
        *,
        window: Window | tuple[datetime, datetime] | None = None,
        scheduled_time: datetime | None = None,
        flow: str = "test",
        run_id: int = 1,
        attempt: int = 1,
    ) -> BareRun[Any]:
        """A run that belongs to no application, to call a flow's function with.

        Its `cpu` calls functions in this process, `emitted` has what was emitted, and its claim holds. Without
        `params` it has an empty dictionary. `scheduled_time` is the window's end, or now.
        """
        covers = None if window is None else Window(*window)
        due = scheduled_time or (now() if covers is None else covers.end)
        given = {} if params is None else params
        return BareRun(
            run_id=run_id, flow=flow, scheduled_time=due, params=given, window=covers, attempt=attempt
        )


@dataclass(frozen=True, slots=True)
class Emitted:
    """An item on its way to the sink `to`: what was emitted, and by which run (0 and empty for none)."""

    payload: Any
    to: str
    key: str | None = None
    flow: str = ""
    run: int = 0
    scheduled_time: datetime | None = None


class BareRun(RunContext[P_co]):
    """A run without an application around it; `emitted` has what was emitted, in order."""

    __slots__ = ("emitted",)

    def __init__(self, **facts: Any) -> None:
        self.emitted: list[Emitted] = []
        super().__init__(surroundings=_Nothing(self), **facts)


class _Nothing:
    """The surroundings of a bare run."""

    def __init__(self, run: BareRun[Any]) -> None:
        self._run = run

    def cpu(self) -> Cpu:
        return _InThisProcess()

    async def emit(self, payload: Any, to: str, key: str | None) -> None:
        run = self._run
        if len(run.emitted) >= KEPT:
            raise RuntimeError(f"a bare run keeps at most {KEPT:,} emitted items")
        run.emitted.append(Emitted(payload, to, key, run.flow, run.id, run.scheduled_time))

    async def check_claim(self) -> None:
        """Nobody takes a bare run away."""


class _InThisProcess:
    """Calls functions at once, where it stands."""

    async def submit(self, function: Callable[[Unpack[Ts]], T], /, *arguments: *Ts) -> T:
        return function(*arguments)

    async def map(
        self, function: Callable[[A], T], items: Iterable[A], /, *, concurrency: int | None = None
    ) -> list[T]:
        return [function(item) for item in items]


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds what the run is to each record, and keeps the fields that the caller adds."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Join the fields of the run and of the call; the run's win."""
        return msg, {**kwargs, "extra": {**(kwargs.get("extra") or {}), **(self.extra or {})}}
