"""The operator that runs neighbouring synchronous stages in one loop, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

from piko_flow.clock import monotonic
from piko_flow.dataflow.graph.boxes import Box
from piko_flow.dataflow.reports.tally import StageTally
from piko_flow.dataflow.running.operators.garbage import fewer_collections
from piko_flow.dataflow.running.operators.loop import PAUSE, FusedStage, Loop, build_loop
from piko_flow.dataflow.running.operators.plain_rows import rows_of
from piko_flow.dataflow.running.operators.reader import (
    LONGEST_CHUNK,
    QUICK_CHUNK,
    ChunkSize,
    Reader,
    between_looks,
)
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.batch import Batch, Fold
from piko_flow.dataflow.stages.routing import Fork, RouteFork
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Source, Table, TableReader
from piko_flow.dataflow.stages.transform import CallStage, FlatMap, Parse
from piko_flow.errors import NO_ITEM
from piko_flow.tasks import FAILURES, checkpoint


class FusedOperator:
    """Runs its stages item by item; order is kept. Fails with StageFailed naming the stage inside the loop."""

    def __init__(self, state: OperatorState) -> None:
        self.state = state
        self.source = state.boxes[0].stage if isinstance(state.boxes[0].stage, Source) else None
        self.boxes = state.boxes[1:] if self.source is not None else state.boxes
        self.tallies = state.tallies[1:] if self.source is not None else state.tallies
        self.tail = state.boxes[-1].stage
        self.outputs = len(self.tail.ons) if isinstance(self.tail, RouteFork) else 1
        self.held: dict[str, Any] = {}  # what a fold or a batch holds between chunks
        self.chunk_size = ChunkSize(state.unit.plan.options.capacity.items)
        self.lossy = [index for index, box in enumerate(self.boxes) if _on_error(box) != "fail"]

    async def run(self) -> None:
        """Work until the input ends, then hand on what a fold or a batch holds."""
        stages = [await self._fused(box, index) for index, box in enumerate(self.boxes)]
        try:
            self.loop = build_loop(stages, self.held, careful=False)
            self.careful = build_loop(stages, self.held, careful=True)
        except Exception as error:  # of the function that gives a fold's first value
            raise self.state.unit.error_policy.failure(self.boxes[-1], NO_ITEM, error) from error
        self.counting = list(self._counting())
        self.held_since = monotonic()
        self.rows = rows_of(self.state.unit.plan, self.boxes[0]) if len(self.boxes) == 1 else None
        with nullcontext() if self.rows is None else fewer_collections():
            await self._read()
        await self._finish()
        self.state.close()

    async def _read(self) -> None:
        if self.source is not None:
            tables = self.rows is not None and isinstance(self.source.items, TableReader)
            await Reader(self.state, self.source, self.chunk_size, self._work_and_wait, tables=tables).run()
        else:
            while chunk := await self.state.receive(self.chunk_size.limit):
                await self._work(chunk)

    async def _work_and_wait(self, chunk: list[Any] | Table) -> None:
        await self._work(chunk)
        if len(self.state.outputs) == 1 and self.state.output.full:
            await self.state.room()  # reading on would only hold more in memory

    def _met(self) -> bool:
        """Whether every stage has had an item, so that its result was looked at."""
        self._all_met = self._all_met or all(tally.received for tally in self.tallies)
        return self._all_met

    _all_met = False

    async def _fused(self, box: Box, index: int) -> FusedStage:
        policy = _on_error(box)
        on_failure = (
            None
            if policy == "fail"
            else self.state.unit.error_policy.of_stage(box, self.tallies[index], policy)
        )
        call, validate = await self._call(box), self.state.validator(box)
        return FusedStage(box.number, box.stage, call, on_failure, validate, box.name)

    async def _call(self, box: Box) -> Callable[..., Any]:
        stage = box.stage
        if isinstance(stage, Parse):
            return parser(stage)
        if isinstance(stage, Fold):
            return stage.step
        if isinstance(stage, (Batch, Fork)):
            return stage.gives
        try:
            return await self.state.bound(stage)
        except Exception as error:  # of the resource it uses
            raise self.state.unit.error_policy.failure(box, NO_ITEM, error) from error

    async def _whole(self, chunk: list[Any] | Table) -> bool:
        """Whether the chunk was validated as rows, all at once, and handed on."""
        began = monotonic()
        if self.rows is None or (isinstance(chunk, list) and len(chunk) > LONGEST_CHUNK):
            return False  # a longer list that a reader gave would hold the loop
        made = self.rows(chunk)
        if made is None:
            return False
        seconds, count = monotonic() - began, len(made)
        self._count(count, (), [self._lost(index) for index in self.lossy])
        self.state.report_chunk(count, seconds)
        await self.state.send(list(made), self.state.output)
        self.chunk_size.adapt(count, self.chunk_size.reading + seconds)
        self.held_since = await checkpoint(self.held_since)
        return True

    async def _work(self, chunk: list[Any] | Table) -> None:
        """Work through the chunk; after each few milliseconds what is made is handed on and the loop runs others."""
        if not self.boxes and isinstance(chunk, list):
            await self._pass(chunk)
            return
        if await self._whole(chunk):
            return
        if isinstance(chunk, Table):
            chunk = chunk.dicts()
        items: Any = iter(chunk)
        seconds = self.chunk_size.reading
        while items.__length_hint__():
            seconds += await self._turn(items)
            self.held_since = await checkpoint(self.held_since)
        self.chunk_size.adapt(len(chunk), seconds)

    async def _pass(self, chunk: list[Any]) -> None:
        """Hand on what was read, where there is no stage to call. The list may be its reader's: a copy goes on."""
        self.state.report_chunk(len(chunk), 0.0)
        await self.state.send(list(chunk), self.state.output)
        self.chunk_size.adapt(len(chunk), self.chunk_size.reading)
        self.held_since = await checkpoint(self.held_since)

    async def _turn(self, items: Any) -> float:
        """Work on items until they end or the time is over, and hand on; gives the seconds it took to work."""
        loop = self.loop if self._met() else self.careful
        out: list[list[Any]] = [[] for _ in range(self.outputs)]
        lost = [self._lost(index) for index in self.lossy]
        left, began, sending = items.__length_hint__(), monotonic(), 0.0
        try:
            if loop.pauses:
                counts, sending = await self._pausing(loop, items, out)
            else:
                counts = loop.run(items, out, self.chunk_size.piece, began + QUICK_CHUNK)
        except FAILURES as error:
            if self.state.unit.error_policy.ours(error):
                raise
            blame = loop.blame(error)
            if blame is None:
                raise
            cause = self.state.unit.group.judge(error)
            raise self.state.unit.error_policy.failure(
                self.state.unit.plan.graph.boxes[blame[0]], blame[1], cause
            ) from cause
        seconds, done = monotonic() - began - sending, left - items.__length_hint__()
        self._count(done, counts, lost)
        self.state.report_chunk(done, seconds)
        self.chunk_size.worked(done, seconds)
        await self._send(out)
        return seconds

    async def _pausing(self, loop: Loop, items: Any, out: list[list[Any]]) -> tuple[tuple[int, ...], float]:
        """Run a loop that pauses, sending on what it has made at each pause; gives its counts and the time of that."""
        began = resumed = monotonic()
        running, sending, pause = loop.run(items, out, self.chunk_size.piece, began + QUICK_CHUNK), 0.0, None
        while True:
            try:
                running.send(pause)
            except StopIteration as ended:
                return ended.value, sending
            paused = monotonic()
            pause = between_looks(pause or 1, paused - resumed, PAUSE)
            if (
                any(len(made) >= self.chunk_size.longest // 4 for made in out)
                or paused - self.held_since > QUICK_CHUNK
            ):
                made = [list(one) for one in out]
                for one in out:
                    one.clear()  # the loop holds on to these very lists
                await self._send(made)
                self.held_since = await checkpoint(self.held_since)
            resumed = monotonic()
            sending += resumed - paused

    async def _send(self, out: list[list[Any]]) -> None:
        channels = self.state.outputs
        if isinstance(self.tail, Fork) and not isinstance(self.tail, RouteFork):
            out = out * len(channels)
        for channel, made in zip(channels, out, strict=False):
            if made:
                await self.state.send(made, channel)

    async def _finish(self) -> None:
        tally = self.state.tallies[-1]
        last: list[Any] = []
        if isinstance(self.tail, Fold):
            last = [self.held["value"]] if self.tail.key is None else list(self.held["values"].items())
        elif isinstance(self.tail, Batch) and self.held["held"]:
            last = [self.held["held"]]
        if last:
            tally.emitted += len(last)
            await self.state.send(last, self.state.output)

    def _lost(self, index: int) -> int:
        return self.tallies[index].skipped + self.tallies[index].dead

    def _count(self, read: int, counts: tuple[int, ...], lost: list[int]) -> None:
        """Add a chunk's counts: what came in, less what each stage kept back, goes on to the next."""
        flowing = read
        for tally, what, place, lossy, batch in self.counting:
            tally.received += flowing
            if lossy >= 0:
                flowing -= tally.skipped + tally.dead - lost[lossy]
            if what == "filtered":
                tally.filtered += counts[place]
                flowing -= counts[place]
            elif what == "emitted":
                flowing = counts[place]
            if batch:
                held = len(self.held["held"])
                tally.emitted += (self._held + flowing - held) // batch
                self._held = held
            elif what != "folded":
                tally.emitted += flowing

    def _counting(self) -> Iterator[tuple[StageTally, str, int, int, int]]:
        """For each box: its tally, what the loop counts for it and where, where its losses are, how much a batch holds."""
        counted = {number: (what, place) for place, (number, what) in enumerate(self.loop.counters)}
        for index, (box, tally) in enumerate(zip(self.boxes, self.tallies, strict=True)):
            what, place = counted.get(box.number, ("folded" if isinstance(box.stage, Fold) else "", 0))
            loses = index in self.lossy and not isinstance(box.stage, FlatMap)
            batch = box.stage.count if isinstance(box.stage, Batch) else 0
            yield tally, what, place, self.lossy.index(index) if loses else -1, batch

    _held = 0


def parser(stage: Parse[Any]) -> Callable[[Any], Any]:
    """The function that a Parse stage calls: JSON from bytes and str, anything else as it is."""
    from_json, from_python = stage.adapter.validate_json, stage.adapter.validate_python

    def parse(item: Any) -> Any:
        return from_json(item) if isinstance(item, (bytes, str)) else from_python(item)

    return parse


def _on_error(box: Box) -> Any:
    stage = box.stage
    if isinstance(stage, (CallStage, Sink)):
        return stage.options.on_error
    return getattr(stage, "on_error", "fail")
