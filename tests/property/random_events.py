"""A run made by a seed: a random graph with sources of every kind, and what happens to it at random moments."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from piko_flow import (
    ActiveRun,
    Broadcast,
    LocalEngine,
    Pipeline,
    Retry,
    RunReport,
    Sink,
    Transform,
    run,
    start,
)
from piko_flow.testing import Fail, RecordingTarget, Stall, Turns, turns, until
from tests.faults.stop_sources import FOR_EVER, KINDS, Feed, Kind
from tests.faults.stop_worlds import BREAKING, CLOSE_RAISES, ITEM_DECIDES, TEARDOWN, Client, Work
from tests.property.drawing_programs import KINDS as STEPS
from tests.property.drawing_programs import MODES, Choices, choose
from tests.property.programs import Whole
from tests.property.steps import Computing

BOUND: Final = (
    15.0  # seconds that a run has to end after the last event; the processes of CPU stages start in it
)
QUIET: Final = "nothing"
PHASES: Final = ("open", "write", "prepare", "commit", "abort", "sweep")
WORKERS_IN: Final = 40  # one in so many seeds has CPU stages: their processes take a second to start
ONCE: Final = tuple(mode for mode in MODES if mode != "retried")
"""Modes of steps of several units: a function that fails every second time for a number cannot tell units apart."""


@dataclass(frozen=True)
class Read:
    """One source: its kind, what it gives and how it goes wrong."""

    kind: Kind
    feed: Feed
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def waits_to_retry(self) -> bool:
        """Whether it waits half a minute before its second attempt."""
        return "retry" in self.options and bool(self.options["retry"].first)

    def __str__(self) -> str:
        feed = self.feed
        faults = {"fails": feed.fails, "breaks after": feed.breaks_after, "waits after": feed.waits_after}
        shown = [f"{name} {value}" for name, value in (faults | self.options).items() if value is not None]
        return f"{self.kind}, {feed.ends_after} items, {', '.join(shown)}{', hangs' if feed.hangs else ''}"


class RandomRun:
    """One run and its events, the same for the same seed as far as threads and time allow."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.whole = self._whole(seed)
        self.reads: list[Read] = []
        self.arrived: dict[str, list[int]] = {}
        self.happens = random.choice((QUIET, QUIET, *ITEM_DECIDES, *BREAKING, CLOSE_RAISES))
        self.go = asyncio.Event()
        self.work = Work(self.happens, self.go)
        self.client = Client(self.happens, hangs=random.random() < 0.1)
        self.faults = self._faults()
        self.stalls = {step: fault for step, fault in self.faults.items() if isinstance(fault, Stall)}
        self.target: RecordingTarget[int] = RecordingTarget(faults=self.faults)
        self.by_handle = random.random() < 0.7
        kinds: tuple[str, ...] = (
            "cancel",
            "cancel",
            "next item",
            "go",
            "go",
            "break",
            "break",
            "sink goes on",
        )
        if self.by_handle:
            kinds += ("drain", "drain")
        self.events = sorted(
            (random.randrange(random.choice((5, 50, 400))), random.choice(kinds))
            for _ in range(random.randrange(4))
        )
        self.happened: list[str] = []
        self.must_end = False
        self.active: ActiveRun | None = None
        self.pipeline = self._pipeline()
        self.options: dict[str, Any] = {"capacity": random.choice((1, 3, 1024)), "teardown": TEARDOWN}
        if self.whole.splits:
            self.options["engine"] = LocalEngine(parallel=random.choice((1, 3)))

    def __str__(self) -> str:
        faults = {step: type(fault).__name__ for step, fault in self.faults.items()}
        lines = [
            f"sources: {'; '.join(map(str, self.reads)) or f'splits {self.whole.sources}'}",
            f"program: {self.whole.program}",
            f"target: {faults}; resource: {self.happens}{', hangs when closed' if self.client.hangs else ''}",
            f"by {'start' if self.by_handle else 'run'} with {self.options}",
            f"events: {self.events}; happened: {self.happened}",
        ]
        return "\n".join(lines)

    @property
    def hard_faults(self) -> set[str]:
        """The steps of the target that fail or hang."""
        return {step for step, fault in self.faults.items() if not isinstance(fault, list)}

    def _whole(self, seed: int) -> Whole:
        random = self.random
        kinds = (*STEPS, Computing) if seed % WORKERS_IN == WORKERS_IN - 1 else STEPS
        splits, most = random.random() < 0.2, random.choice((5, 40, 400))
        whole = choose(Choices.seeded(random), kinds=kinds, most=most, modes=ONCE if splits else MODES)
        return replace(whole, splits=True) if splits else replace(whole, first=1)

    def _faults(self) -> dict[Any, Any]:
        random, faults = self.random, dict[Any, Any]()
        for step in PHASES:
            chance = random.random()
            if chance < 0.06:
                faults[step] = Stall()
            elif chance < 0.1:
                faults[step] = Fail(OSError(f"{step} failed"))
            elif chance < 0.3:
                faults[step] = [Turns(random.randrange(8)) for _ in range(5)]
        return faults

    def _source(self, place: int, count: int) -> Any:
        random = self.random
        sliced = any(read.kind.slices for read in self.reads)
        kind = random.choice([kind for kind in KINDS if not (sliced and kind.slices)])
        feed = Feed(ends_after=count, turns=random.randrange(3))
        options: dict[str, Any] = {}
        chance = random.random() if kind.name != "list" else 1.0
        if chance < 0.15:
            feed.fails = random.choice((1, 2, FOR_EVER))
            options["retry"] = random.choice((Retry(3, first=0), Retry(5, first=30)))
        elif chance < 0.25:
            feed.breaks_after = random.randrange(count + 1)
        elif chance < 0.4 and kind.waits != "never":
            feed.waits_after = random.randrange(count + 1)
        feed.hangs = kind.closes and random.random() < 0.08
        if kind.slices and random.random() < 0.5:
            options |= random.choice(({"max_items": random.randint(1, 30)}, {"max_age": 0.02}))
        self.reads.append(Read(kind, feed, options))
        return kind.source(feed, name=f"source{place}", **options)

    def _pipeline(self) -> Pipeline:
        """The sources, a stage with a resource, and the program beside a sink with a target."""
        random = self.random
        used = Transform(
            self.work,
            uses={"client": self.client.open},
            name="work",
            concurrency=random.choice((1, 1, 3)),
            ordered=random.random() < 0.5,
            **self.work.options(),
        )
        program = self.whole.program.build_into(self.arrived, None, False)
        target = Sink(self.target, batch=random.choice((1, 1, 7)), name="target")
        return self.whole.read(self._source) >> used >> Broadcast(program, target, name="both")  # type: ignore[no-any-return]

    async def run(self) -> RunReport:
        """Run it by `run` or by the handle."""
        if not self.by_handle:
            return await run(self.pipeline, **self.options)
        async with start(self.pipeline, **self.options) as self.active:
            return await self.active.wait()

    async def play(self, task: asyncio.Task[RunReport]) -> None:
        """Let the events happen, each at its turn, and then what the run may wait for; returns when it has ended."""
        if self.by_handle:
            await until(lambda: self.active is not None or task.done(), within=BOUND)
        turn = 0
        for at, event in self.events:
            await turns(at - turn)
            turn = at
            if not task.done():
                self._happen(event, task)
        if not self.must_end:
            self._let_flow()
        if not self.must_end and any(read.waits_to_retry for read in self.reads):
            self._happen("drain" if self.by_handle else "cancel", task)
        commit = self.stalls.get("commit", Stall())
        await until(lambda: task.done() or commit.reached.is_set(), within=BOUND)
        if not task.done():
            self._happen("cancel", task)
            await asyncio.wait([task], timeout=BOUND)

    def _happen(self, event: str, task: asyncio.Task[RunReport]) -> None:
        self.happened.append(event)
        if event == "drain" and self.active is not None:
            self.active.drain()
        elif event == "cancel":
            self.must_end = True
            (task.cancel if self.active is None else self.active.cancel)()
        elif event == "next item":
            for read in self.reads:
                read.feed.release()
        elif event == "go":
            self.go.set()
        elif event == "break":
            self.must_end = self.must_end or (self.happens in BREAKING and self.client.opened > 0)
            self.client.breaks()
        elif event == "sink goes on":
            for stall in self.stalls.values():
                stall.release()

    def _let_flow(self) -> None:
        """Let the target take items, and let sources go on and end, unless a drain interrupts them."""
        for step in ("open", "write", "prepare"):
            if step in self.stalls:
                self.stalls[step].release()
        for read in self.reads:
            if "drain" not in self.happened or read.kind.waits == "thread":
                read.feed.release()
            if "drain" not in self.happened:
                read.feed.let_close()

    def release(self) -> None:
        """Let go on whatever still waits for the test."""
        for read in self.reads:
            read.feed.release()
            read.feed.let_close()
        self.go.set()
        self.client.may_close.set()
        for stall in self.stalls.values():
            stall.release()
