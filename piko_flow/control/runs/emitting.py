"""Writing what runs emit: sinks by name, lists of items, and a bound on what waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from piko_flow.connectors.spool import Spool
from piko_flow.connectors.spool_delivery import REPLACED, what_replaces
from piko_flow.connectors.spool_file import Origin
from piko_flow.connectors.spool_target import open_spools
from piko_flow.control.dead_letters.emitted_letters import letter_records
from piko_flow.control.dead_letters.letter_files import LetterFiles
from piko_flow.control.flows.run_context import Emitted
from piko_flow.control.params.redaction import NOTHING_HIDDEN, Redaction
from piko_flow.control.runs.open_spools import KeepLetters, SpoolPlace, Spools
from piko_flow.counting import counted
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.running.run import run
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage import SinkLike, describe
from piko_flow.errors import PikoFlowError, PipelineError, RequestRefused

SOURCE = "emitted"
Key = str | Callable[[Any], object]
ItemKey = Key | None
BATCH = 500  # items of one list, at most


@dataclass(eq=False, slots=True)
class Emissions:
    """What one run has emitted and how much of it is not yet written; `error` is the first that a sink failed with.

    `redaction` hides fields of what becomes a dead letter. What is of one run alone is written in its `context`, that
    in which this is made.
    """

    redaction: Redaction = NOTHING_HIDDEN
    pending: int = 0
    error: BaseException | None = None
    written: asyncio.Event | None = None
    context: Context = field(default_factory=copy_context, repr=False)

    async def flush(self) -> None:
        """Wait until all of it is written. Raises what a sink failed with, once."""
        if self.pending:
            self.written = asyncio.Event()
            await self.written.wait()
        error, self.error = self.error, None
        if error is not None:
            raise error

    def settle(self, items: int, error: BaseException | None) -> None:
        """Count items that have been written, or have failed."""
        self.pending -= items
        self.error = self.error or error
        if self.pending == 0 and self.written is not None:
            self.written.set()


@dataclass(eq=False)
class _Outlet:
    """One sink, the items that wait for it, and those who wait for room."""

    name: str
    sink: SinkLike[Any]
    whole: bool
    spool: Spool[Any] | None = None
    key: ItemKey = None
    waiting: deque[tuple[Emitted, Emissions]] = field(default_factory=deque)
    room: asyncio.Event = field(default_factory=asyncio.Event)
    writing: asyncio.Task[None] | None = None

    def fitting(self, kind: type) -> str:
        """What to do about items of a class that has no field of the key's name."""
        models = () if self.spool is None else self.spool.models
        if kind in models or not models:
            return "Name in register_sink(..., key=...) a field that each item has"
        return f"Emit {' or '.join(one.__qualname__ for one in models)}"


class Writer:
    """Writes what is emitted to the sinks registered by name; an async context manager that writes all before it ends.

    At most `limit` items wait for each sink; beyond that `emit` waits. What waits is written as a list as soon
    as the sink is free. A list that fails is written again run by run, so a sink may meet an item twice, and
    the error of one run's item does not reach another run. Items that the sink makes dead letters of are given to
    `keep`; without it they are an error. An item for a spool is on the disk when `emit` returns, and is written from
    there. Belongs to the loop it is entered in.
    """

    keep: KeepLetters | None = None
    files: LetterFiles | None = None
    """Where large items of dead letters go."""
    ledger: str = ""
    """The URL of the store, without password, to which the spools belong."""

    def __init__(
        self,
        *,
        limit: int = 200,
        flush_timeout: float = 60.0,
        folder: Path | None = None,
        database: str = "",
        redaction: Callable[[str], Redaction] = lambda flow: NOTHING_HIDDEN,
    ) -> None:
        self._limit, self._flush_timeout, self._folder = limit, flush_timeout, folder
        self._redaction, self._database = redaction, database
        self._outlets: dict[str, _Outlet] = {}
        self.spools: Spools | None = None
        self._group: asyncio.TaskGroup | None = None
        self._context = copy_context()

    def register(self, name: str, sink: Any, *, whole: bool = False, key: ItemKey = None) -> None:
        """Let `emit(..., to=name)` reach the sink: a Sink or a chain that ends in sinks, an object with `write(items)`,
        or a function of one item.

        With `whole` it gets Emitted values, with key, flow and run, instead of what was emitted. `key` gives an item's
        key where `emit` is given none: the name of its field, or a function of it. Raises PipelineError for what is no
        sink, and for a name that is taken.
        """
        self._check_name(name)
        if (replacing := what_replaces(sink)) is not None:
            _refuse(f"register_sink({name!r})", REPLACED, f"got {type(replacing).__name__}")
        if isinstance(sink, SinkLike):
            chosen: SinkLike[Any] = sink
        else:
            chosen = Sink(sink, batch=BATCH, name=name) if hasattr(sink, "write") else Sink(sink, name=name)
        self._outlets[name] = _Outlet(name, chosen, whole, key=key)

    def register_spool(self, name: str, spool: Spool[Any], *, key: ItemKey = None) -> None:
        """Let `emit(..., to=name)` reach what is behind the spool, which is open while the writer is.

        `key` is as for `register`. Raises PipelineError for a name that is taken.
        """
        self._check_name(name)
        self._outlets[name] = _Outlet(name, Sink(spool, batch=BATCH, name=name), False, spool, key)

    def _check_name(self, name: str) -> None:
        if not isinstance(name, str) or not name.strip():
            _refuse(f"register_sink({name!r:.80})", "a sink has a name", f"got {describe(name)}")
        if name in self._outlets:
            _refuse(f"register_sink({name!r})", "a name belongs to one sink", "it is registered already")

    def sink(self, name: str) -> tuple[SinkLike[Any], bool]:
        """The sink of this name, and whether it gets Emitted values; of a spool one that hands them to it, each with its
        key. Raises RequestRefused for a name that none has."""
        outlet = self._outlet(name)
        if outlet.spool is None:
            return outlet.sink, outlet.whole
        return Sink(partial(self._spool, outlet.spool), name=name), True

    @property
    def names(self) -> frozenset[str]:
        """Of all sinks that are registered."""
        return frozenset(self._outlets)

    def _outlet(self, name: str) -> _Outlet:
        outlet = self._outlets.get(name)
        if outlet is None:
            known = ", ".join(sorted(self._outlets)) or "none"
            got = f"no sink is registered as {name!r}; there are: {known}"
            raise RequestRefused(what=f"emit to {name!r}", rule="a sink has that name", got=got)
        return outlet

    @property
    def waiting(self) -> int:
        """How many items wait to be written."""
        return sum(len(outlet.waiting) for outlet in self._outlets.values())

    async def __aenter__(self) -> Writer:
        """Open the spools. Raises SpoolUnavailable where that cannot be; then none is open."""
        place = SpoolPlace(self._folder, self.ledger, self._database, self._flush_timeout)
        spools = Spools(place, keep=self.keep, files=self.files, redaction=self._redaction)
        try:
            for name, outlet in self._outlets.items():
                if outlet.spool is not None:
                    await spools.live(outlet.spool, name)
        except BaseException:
            await spools.__aexit__(None, None, None)
            raise
        self.spools = spools
        self._context = copy_context()
        self._context.run(open_spools.set, spools)
        self._group = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what was accepted, for at most `flush_timeout` seconds; what is in spools then stays there."""
        group, self._group = self._group, None
        assert group is not None
        timer = asyncio.get_running_loop().call_later(self._flush_timeout, self._give_up)
        try:
            await group.__aexit__(None, None, None)
        finally:
            timer.cancel()
            spools, self.spools = self.spools, None
            if spools is not None:
                await spools.__aexit__(kind, error, trace)

    def _give_up(self) -> None:
        for outlet in self._outlets.values():
            if outlet.writing is not None:
                outlet.writing.cancel()

    async def emit(self, item: Emitted, emissions: Emissions) -> None:
        """Accept an item, when there is room; what becomes of it is told to `emissions`.

        Raises RequestRefused for a name that no sink has and for an item without the key that its sink asks for,
        RuntimeError outside the writer's block, and what a spool's `accept` raises.
        """
        outlet = self._outlet(item.to)
        if item.key is None and outlet.key is not None:
            item = replace(item, key=await self._key_of(outlet, outlet.key, item.payload))
        if outlet.spool is not None:
            await self._spool(outlet.spool, item)
            return
        while len(outlet.waiting) >= self._limit:
            outlet.room.clear()
            await outlet.room.wait()
        if self._group is None:
            raise NotOpen
        outlet.waiting.append((item, emissions))
        emissions.pending += 1
        if outlet.writing is None:
            own = self._context.copy()  # it goes on for other runs when the one that begins it has ended
            outlet.writing = self._group.create_task(
                self._write(outlet), name=f"write to {item.to}", context=own
            )

    async def _key_of(self, outlet: _Outlet, key: Key, payload: Any) -> str:
        """The key that the sink's `key` finds in an item; of one whose class the spool does not keep, that is told."""
        try:
            return _found_key(payload, key)
        except Exception as error:
            missing = error
        if outlet.spool is not None and self.spools is not None:
            (await self.spools.live(outlet.spool, outlet.name)).check([payload])
        if callable(key) or not isinstance(missing, KeyError | AttributeError):
            raise missing
        raise RequestRefused(
            what=f"emit to {outlet.name!r}",
            rule=f"the key of an item is its field {key!r}, as register_sink says",
            got=f"got a value of class {type(payload).__qualname__}, which has no such field",
            advice=f"{outlet.fitting(type(payload))}, or write emit(..., key=...)",
        ) from missing

    async def _spool(self, spool: Spool[Any], item: Emitted) -> None:
        if self.spools is None:
            raise NotOpen
        live = await self.spools.live(spool, item.to)
        origin = Origin(item.flow, str(item.run) if item.run else "")
        await live.accept([item.payload], origin=origin, keys=None if item.key is None else [item.key])

    async def _write(self, outlet: _Outlet) -> None:
        """Write lists until nothing waits."""
        taken: list[tuple[Emitted, Emissions]] = []
        try:
            while outlet.waiting:
                taken = [outlet.waiting.popleft() for _ in range(min(len(outlet.waiting), BATCH))]
                outlet.room.set()
                await self._settle(outlet, taken)
                taken = []
        finally:
            outlet.writing = None
            left = [*taken, *outlet.waiting]
            outlet.waiting.clear()
            outlet.room.set()
            for item, emissions in left:
                emissions.settle(1, NotWritten(item.to))

    async def _settle(self, outlet: _Outlet, taken: list[tuple[Emitted, Emissions]]) -> None:
        runs: dict[Emissions, list[tuple[Emitted, Emissions]]] = {}
        for one in taken:
            runs.setdefault(one[1], []).append(one)
        context = next(iter(runs)).context if len(runs) == 1 else self._context
        error = await self._written(outlet, taken, context)
        for emissions, own in runs.items():
            if error is not None and len(runs) > 1:
                emissions.settle(len(own), await self._written(outlet, own, emissions.context))
            else:
                emissions.settle(len(own), error)

    async def _written(
        self, outlet: _Outlet, taken: list[tuple[Emitted, Emissions]], context: Context
    ) -> Exception | None:
        """Write the items as one small run in the context; gives what the sink failed with."""
        values = [item if outlet.whole else item.payload for item, _ in taken]
        try:
            writing = run(Source(values, name=SOURCE) >> outlet.sink)
            report = await asyncio.create_task(
                writing, name=f"list for {outlet.name}", context=context.copy()
            )
            if report.dead:
                await self._keep(outlet, taken, report)
        except Exception as error:  # it is the run's that emitted, and told there
            return error
        return None

    async def _keep(self, outlet: _Outlet, taken: list[tuple[Emitted, Emissions]], report: RunReport) -> None:
        if self.keep is None or report.dead > sum(len(letter.items) for letter in report.dead_letters):
            raise LettersNotKept(outlet.name, report.dead)
        make = partial(letter_records, outlet.name, report.dead_letters, taken, self.files)
        await self.keep(make() if self.files is None else await asyncio.to_thread(make))


class NotOpen(RuntimeError):
    """Something was emitted before the writer was entered, or after it was left."""

    def __init__(self) -> None:
        super().__init__("the writer is not open: enter it with `async with`, and emit inside the block")


class NotWritten(RuntimeError):
    """An emitted item was not written in the time that the writer had left."""

    def __init__(self, sink: str) -> None:
        super().__init__(f"sink {sink!r} did not write an item before the application ended")
        self.sink = sink


class LettersNotKept(PikoFlowError):
    """Items that a sink made dead letters of could not be kept as such."""

    def __init__(self, sink: str, items: int) -> None:
        super().__init__(
            f"sink {sink!r} refused {counted(items, 'item')} for good, and there is no room to keep all of them"
        )
        self.sink, self.items = sink, items


def _found_key(payload: Any, key: Key) -> str:
    if callable(key):
        return str(key(payload))
    return str(payload[key] if isinstance(payload, Mapping) else getattr(payload, key))


def _refuse(what: str, rule: str, got: str) -> NoReturn:
    raise PipelineError(what=what, where=str(caller()), rule=rule, got=got)
