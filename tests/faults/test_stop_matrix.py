"""No run hangs: every kind of source, whatever happens, at every moment, ends within its bound and as it should.

A cell whose run hangs fails by its own bound, and says which task waits where.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import pytest

from piko_flow import CommitFailed, PipelineError, ResourceFailed, RunReport, StageFailed, run_sync
from piko_flow.testing import no_leaks, turns, until
from tests.faults.stop_loops import Stuck, in_a_loop, standing
from tests.faults.stop_sources import KINDS, Feed, Kind
from tests.faults.stop_worlds import (
    ABORT,
    AGE,
    BETWEEN,
    BOUND,
    BREAKING,
    CLOSE_RAISES,
    CLOSING_RESOURCE,
    CLOSINGS,
    COMMIT,
    EVENTS,
    FAILURES,
    FIRST,
    FULL,
    INTERRUPT,
    ITEM_DECIDES,
    LATE,
    MOMENTS,
    READ,
    READING,
    RECOVERS,
    SLICE,
    SLICED,
    SWEEP,
    Broken,
    Cell,
    Refused,
    World,
    ended,
)
from tests.property.balance import assert_balanced

Ends = asyncio.Task[RunReport] | Future[RunReport]
NOTICED = 0.1  # seconds from the request of a stop until the source has noticed it

pytestmark = pytest.mark.timeout(60)


class Late(AssertionError):
    """A source noticed its stop too late."""


@dataclass(frozen=True)
class Left:
    """Cells that make no sense, and why."""

    why: str
    events: tuple[str, ...] = (*EVENTS, INTERRUPT)
    moments: tuple[str, ...] = MOMENTS
    kinds: tuple[str, ...] = tuple(kind.name for kind in KINDS)

    def has(self, cell: Cell) -> bool:
        """Whether the cell is one of these."""
        return cell.event in self.events and cell.moment in self.moments and cell.kind.name in self.kinds


REFUSED = Left(
    "max_items and max_age of a source that is not read in slices are refused when composing",
    events=SLICED,
    kinds=tuple(kind.name for kind in KINDS if not kind.slices),
)
NO_SENSE = (
    REFUSED,
    Left("reading a list cannot fail", moments=(BETWEEN,), kinds=("list",)),
    Left("between attempts no item has been read", events=("max_items",), moments=(BETWEEN,)),
    Left(
        "when all is read, a run's stages have ended and its resources close or are closed",
        events=(*FAILURES, RECOVERS, *BREAKING, CLOSE_RAISES),
        moments=(READ, COMMIT, SWEEP),
    ),
    Left("a slice that has ended is committed, not aborted", events=SLICED, moments=(ABORT,)),
    Left(
        "closing this source cannot wait: it has nothing to close, or closes on the loop in one step",
        moments=CLOSINGS,
        kinds=tuple(kind.name for kind in KINDS if not kind.closes),
    ),
    Left("what raises when it is closed does not hang", events=(CLOSE_RAISES,), moments=(CLOSING_RESOURCE,)),
)
ALL = [Cell(*place) for place in product(KINDS, EVENTS, MOMENTS)]
CELLS = [cell for cell in ALL if not any(left.has(cell) for left in NO_SENSE)]


BY_SCRIPTS = (INTERRUPT, *SLICED, *FAILURES, *BREAKING)
FROM_A_SCRIPT = [
    cell
    for cell in (Cell(*place) for place in product(KINDS, BY_SCRIPTS, (READING, BETWEEN, FULL)))
    if not any(left.has(cell) for left in NO_SENSE)
]


def test_every_cell_is_tried_or_left_out_for_a_reason() -> None:
    assert [left.why for left in NO_SENSE if not any(map(left.has, ALL))] == []
    assert {(cell.event, cell.moment) for cell in ALL} - {(cell.event, cell.moment) for cell in CELLS} == {
        ("max_items", BETWEEN),
        (CLOSE_RAISES, CLOSING_RESOURCE),
        *product(SLICED, (ABORT,)),
        *product((*FAILURES, RECOVERS, *BREAKING, CLOSE_RAISES), (READ, COMMIT, SWEEP)),
    }


@pytest.mark.parametrize("option", SLICED)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.slices], ids=str)
def test_a_slice_of_what_is_not_read_in_slices_is_refused(kind: Kind, option: str) -> None:
    given: Any = {option: 1}
    with pytest.raises(PipelineError, match="unbounded source"):
        kind.source(Feed(), **given)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_run_ends(cell: Cell) -> None:
    try:
        in_a_loop(lambda: play(cell), str(cell))
    except Late:  # a thread may have been late, which the beats of the loop do not show
        in_a_loop(lambda: play(cell), str(cell))


@pytest.mark.parametrize("cell", FROM_A_SCRIPT, ids=str)
def test_the_run_of_a_script_ends(cell: Cell, interrupt_key: None) -> None:
    try:
        play_from_a_script(cell)
    except Late:
        play_from_a_script(cell)


@pytest.mark.parametrize("cell", [cell for cell in FROM_A_SCRIPT if cell.event != INTERRUPT], ids=str)
def test_the_run_of_a_notebook_ends(cell: Cell) -> None:
    async def cell_of_a_notebook() -> None:
        play_from_a_script(cell)  # blocks this loop; the run has one of its own

    try:
        in_a_loop(cell_of_a_notebook, str(cell))
    except Late:
        in_a_loop(cell_of_a_notebook, str(cell))


@pytest.fixture
def interrupt_key() -> Iterator[None]:
    """The interrupt key does what it does in a script; workers of the tests ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


async def play(cell: Cell) -> None:
    """Bring a run to the moment, let the event happen, and look at how it ends and what is left."""
    with no_leaks(grace=10):
        world = World(cell)
        task = asyncio.create_task(world.run(), name="the run")
        try:
            await world.reached(task.done)
            given = world.feed.given
            await happen(world, task)
            await asyncio.wait([task], timeout=BOUND)
            if not task.done():
                raise Stuck(f"it did not end within {BOUND:g} s:\n{standing()}")
            check(world, task, given)
            check_promptness(world)
        finally:
            world.release()
            task.cancel()
            await asyncio.gather(asyncio.wait_for(task, BOUND), return_exceptions=True)
        await turns(20)


def play_from_a_script(cell: Cell) -> None:
    """The same by `run_sync`; what happens is done by a task in the run's own loop."""
    world, result = World(cell), Future[RunReport]()
    given: list[int] = []
    driving: list[asyncio.Task[None]] = []

    async def drive() -> None:
        await world.reached(lambda: world.source.ended < float("inf"))
        given.append(world.feed.given)
        await happen(world, result)

    world.source.when_run_starts = lambda: driving.append(asyncio.create_task(drive(), name="the driver"))
    try:
        result.set_result(run_sync(world.pipeline(), **world.options()))
    except BaseException as error:
        result.set_exception(error)
    finally:
        world.release()
    check(world, result, given[0])
    check_promptness(world)


async def happen(world: World, task: Ends) -> None:
    """Let the event of the cell happen; afterwards what the test holds back flows on."""
    cell, event = world.cell, world.cell.event
    world.request()
    if event in ITEM_DECIDES:
        world.gate.go.set()
    if event in BREAKING:
        world.client.breaks()
    if event == RECOVERS:
        await until(lambda: world.work.calls > 1 or task.done(), within=BOUND)
        world.request()
    if event in ("drain", RECOVERS, CLOSE_RAISES):
        assert world.active is not None
        world.active.drain()
    if event in ("cancel", "cancel of the caller", INTERRUPT):
        await cancel(world, task)
    if event == "timeout of a stage":
        world.request(world.requested + LATE)
    if event == "max_age":
        world.request(world.source.began + AGE)
        if cell.is_full or cell.waits_on_thread:
            await aged()
            world.request()
    if event in ("drain", RECOVERS, CLOSE_RAISES, *SLICED):
        world.gate.opened.set()
        world.feed.release()
    if cell.moment == READ:
        world.client.may_close.set()
    if cell.moment == COMMIT and event not in ("cancel", "cancel of the caller"):
        await turns(50)
        assert not task.done()  # a commit has the time it needs, until the run is cancelled
        await cancel(world, task)


async def cancel(world: World, task: Ends) -> None:
    """Cancel, and again and again while a teardown hangs, as an impatient user does."""
    stop: Callable[[], object] = task.cancel if world.active is None else world.active.cancel
    if world.cell.event == INTERRUPT:
        stop = partial(signal.raise_signal, signal.SIGINT)
    stop()
    if world.cell.moment not in (READING, BETWEEN, FULL):
        for _ in range(5):
            await turns(5)
            stop()


async def aged() -> None:
    """Wait until a slice that began before is as old as it may be."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + AGE
    await until(lambda: loop.time() > ends, within=BOUND)


def check(world: World, task: Ends, given: int) -> None:
    """The run ended as it should, and names what it left behind."""
    outcome, cause = expected(world.cell)
    found, error, leftovers = ended(task)
    assert found == outcome, (found, error)
    if cause is not None:
        assert isinstance(innermost(error), cause), error
    record = world.target.record
    if outcome == "succeeded":
        report = task.result()
        assert record.published == list(range(1, report.items + 1))
        assert report.more == (world.cell.event in SLICED)
        if world.cell.event == "max_items":
            assert report.items == (SLICE if world.cell.is_full else FIRST)
        if world.cell.kind.slices:
            assert report.position == report.items
    else:
        assert record.published == [] or world.cell.moment == SWEEP
    if found in ("succeeded", "drained", "cancelled"):
        assert_balanced(task.result(), stopped=found == "cancelled")
    if world.cell.is_full and found == "drained" and world.cell.kind.waits != "thread":
        assert world.feed.given == given, "it read on after the stop"
    if isinstance(error, StageFailed):
        assert error.stage == "work"
    if world.cell.moment != CLOSING_RESOURCE:
        assert world.client.opened == world.client.closed
    may, must = left_behind(world.cell, found)
    assert [line for line in leftovers if not any(re.search(one, line) for one in may | must)] == []
    assert [one for one in must if not any(re.search(one, line) for line in leftovers)] == [], leftovers


def check_promptness(world: World) -> None:
    """A source that has not ended before notices the stop at once."""
    if not world.cell.has_read and world.noticed_after > NOTICED:
        raise Late(f"the source noticed the stop {world.noticed_after:.3f} s after its request")


def expected(cell: Cell) -> tuple[str, type[BaseException] | None]:
    """How the run of the cell ends, and the innermost cause where it fails."""
    if cell.moment == COMMIT:
        return "CommitFailed", TimeoutError
    if cell.event == "cancel of the caller":
        return "CancelledError", None
    if cell.event == INTERRUPT:
        return "KeyboardInterrupt", None
    if cell.moment == SWEEP or (cell.moment == READ and cell.event == "drain"):
        return "succeeded", None
    if cell.event in FAILURES:
        return "StageFailed", TimeoutError if cell.event == "timeout of a stage" else Refused
    if cell.event in BREAKING or cell.event == CLOSE_RAISES:
        known = cell.moment != CLOSING_RESOURCE and cell.event != "scope of a resource"
        late = cell.event == "fail_after of a resource"
        return "ResourceFailed", (TimeoutError if late else Broken) if known else None
    if cell.event == "cancel":
        return "cancelled", None
    if cell.moment == CLOSING_RESOURCE:
        return "ResourceFailed", TimeoutError
    return "succeeded" if cell.event in SLICED else "drained", None


def innermost(error: BaseException | None) -> BaseException | None:
    """The cause of the cause, groups of one taken off."""
    while error is not None:
        if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        elif isinstance(error, CommitFailed | ResourceFailed | StageFailed):
            error = error.__cause__
        else:
            return error
    return None


def left_behind(cell: Cell, found: str) -> tuple[set[str], set[str]]:
    """Patterns of the leftovers: of those that lines may match, and of those that one line must match each."""
    may, must = set[str](), set[str]()
    flowed_out = cell.event in ("drain", RECOVERS, CLOSE_RAISES, *SLICED)
    if cell.moment in (ABORT, SWEEP):
        must.add("sink 'target'")
    if cell.moment in CLOSINGS:
        inside = (
            cell.waits_on_thread and not flowed_out
        )  # of a call for the next item, which closes when it returns
        (may if inside else must).add("(source|task) 'source'")
        if cell.kind.waits == "thread":
            must.add("thread of stage 'source'")
    if cell.waits_on_thread and not flowed_out:
        must.add("thread of stage 'source'")
    if cell.moment == CLOSING_RESOURCE and found != "ResourceFailed":
        must.add("resource")
    return may, must


def test_a_run_that_hangs_fails_its_cell() -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match=r"(?s)this cell.*hangs"):
        in_a_loop(hangs, "this cell", within=0.05)
