"""Writing one list through the sink behind a spool."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import cached_property
from typing import Any, Final

from piko_flow.connectors.spool_errors import SpoolRefused, TooManyFailed
from piko_flow.dataflow.graph.boxes import graph_of
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.running.run import run
from piko_flow.dataflow.stages.routing import Fork
from piko_flow.dataflow.stages.sink import Part, Sink, SinkTarget
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage import Keeping, SinkLike
from piko_flow.errors import ItemRejected, StageFailed
from piko_flow.tasks import within

_SOURCE: Final = "spooled"
REPLACED: Final = "a file or a window is replaced as a whole, so each list would replace the one before"


class Delivery:
    """Writes lists through a sink, each as a whole: when `write` has returned, the sink has acknowledged it.

    One list may take at most `timeout` seconds; after that, and after any error, what the sink has of it is taken back
    as far as the sink can. Entered while the spool is open.
    """

    def __init__(self, sink: Any, *, name: str, timeout: float) -> None:
        self._name, self._run, self._timeout = name, "", timeout
        self._sink = sink
        self._lists = 0
        self._holds = AsyncExitStack()
        self._write: Callable[[Sequence[Any]], Awaitable[list[DeadLetter]]]
        self._part: SinkTarget[Any] | None = None
        if isinstance(sink, SinkTarget):
            self._write = self._in_one_part if sink.acknowledges else self._in_parts
        elif isinstance(sink, SinkLike):
            self._write = self._in_a_run
        else:
            self._write = self._at_once

    @property
    def is_chain(self) -> bool:
        """Whether stages stand before the sink, or it is a Sink with options of its own."""
        return isinstance(self._sink, SinkLike)

    @cached_property
    def first_stages(self) -> frozenset[str]:
        """The names of the stages of a chain that get items as they were accepted; none for other sinks."""
        if not isinstance(self._sink, SinkLike):
            return frozenset()
        graph = graph_of(Source((), name=_SOURCE) >> self._sink)
        first, waiting = set[str](), [edge.end for edge in graph.out_of(0)]
        while waiting:
            box = graph.boxes[waiting.pop()]
            first.add(box.name)
            if isinstance(box.stage, (Fork, Keeping)):  # they hand on what they get
                waiting += [edge.end for edge in graph.out_of(box.number)]
        return frozenset(first)

    def names_one(self, error: Exception, items: int) -> bool:
        """Whether the error names one of so many items. In a chain its index counts in a list of a later stage."""
        own = isinstance(error, ItemRejected) and 0 <= error.index < items
        return own and (items == 1 or not self.is_chain)

    async def open(self, run: str) -> None:
        """Let the sink keep what it needs for all lists; `run` names the parts that a SinkTarget sees."""
        self._run = run
        if isinstance(self._sink, SinkTarget):
            held = await copy.copy(self._sink).lock(self._run)
            if isinstance(held, AbstractAsyncContextManager):
                await self._holds.enter_async_context(held)
            else:
                self._holds.enter_context(held)

    async def close(self) -> None:
        """Let the sink give that back."""
        part, self._part = self._part, None
        try:
            if part is not None:
                await self._abort(part)
        finally:
            await self._holds.aclose()

    async def write(self, items: Sequence[Any]) -> list[DeadLetter]:
        """Write the list, in order; gives what stages of a chain have made dead letters of.

        Raises what it failed with.
        """
        self._lists += 1
        try:
            return await within(self._timeout, self._write(items), "the sink did not take the list")
        except StageFailed as error:
            raise error.__cause__ or error from None

    async def _in_parts(self, items: Sequence[Any]) -> list[DeadLetter]:
        target = await self._opened()
        async with self._aborting(target):
            await target.write(items)
            receipt = await target.prepare()
            await copy.copy(self._sink).commit([receipt])
        return []

    async def _in_one_part(self, items: Sequence[Any]) -> list[DeadLetter]:
        """The part stays open until something fails: nothing of it waits for a commit."""
        target = self._part or await self._opened()
        self._part = None
        async with self._aborting(target):
            await target.write(items)
        self._part = target
        return []

    async def _opened(self) -> SinkTarget[Any]:
        target: SinkTarget[Any] = copy.copy(self._sink)
        async with self._aborting(target):
            await target.open(Part(run=self._run, unit="list", number=self._lists, sink=self._name))
        return target

    @asynccontextmanager
    async def _aborting(self, target: SinkTarget[Any]) -> AsyncIterator[None]:
        """Abort the part unless the block ends well; a cancellation is no good end."""
        try:
            yield
        except BaseException:
            await self._abort(target)
            raise

    async def _abort(self, target: SinkTarget[Any]) -> None:
        with suppress(Exception):  # the error that is told is the first one
            async with asyncio.timeout(self._timeout):
                await target.abort()

    async def _at_once(self, items: Sequence[Any]) -> list[DeadLetter]:
        written = self._sink.write(items)
        if isinstance(written, Awaitable):
            await written
        return []

    async def _in_a_run(self, items: Sequence[Any]) -> list[DeadLetter]:
        report = await run(Source(list(items), name=_SOURCE) >> self._sink)
        letters = list(report.dead_letters)
        kept = sum(len(letter.items) for letter in letters)
        if report.dead > kept:
            raise TooManyFailed(report.dead, kept)  # so that the list is written in parts
        return letters


def what_replaces(sink: Any) -> SinkTarget[Any] | None:
    """The first target in a sink or chain whose commit replaces all that an earlier one wrote, if there is one."""
    leaves = sink.leaves() if isinstance(sink, SinkLike) else [sink]
    targets = (leaf.target if isinstance(leaf, Sink) else leaf for leaf in leaves)
    return next((one for one in targets if isinstance(one, SinkTarget) and one.replaces), None)


def checked_sink(sink: Any, *, where: str) -> Any:
    """What lists are written through: a target, an object with `write`, or a chain that ends in sinks."""
    replacing = what_replaces(sink)
    if replacing is not None:
        raise SpoolRefused(
            what="Spool",
            where=where,
            rule=REPLACED,
            got=f"got {type(replacing).__name__}",
            advice="Write it from a pipeline, and spool to what takes lists one after the other",
        )
    if isinstance(sink, type) or not (isinstance(sink, SinkLike) or hasattr(sink, "write") or callable(sink)):
        raise SpoolRefused(
            what="Spool",
            where=where,
            rule="it keeps items for a sink: an object with write(items), a function of one item, or a chain",
            got=f"got {sink!r:.80}",
        )
    if isinstance(sink, SinkLike) or hasattr(sink, "write"):
        return sink
    return Sink(sink)
