"""Whether a run may commit, where that is decided, and publishing what it has prepared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from piko_flow.counting import counted
from piko_flow.dataflow.commit.accounts import KEPT, Accounts, UnitResult, one_to_one
from piko_flow.dataflow.commit.last_transaction import LastTransaction
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.reports.facts import DeadLetter, EdgeReport, StageReport
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.resource_host import ResourceHost
from piko_flow.dataflow.stages.sink import Part, Sink, SinkTarget
from piko_flow.errors import (
    NO_ITEM,
    AlreadyCommitted,
    CommitFailed,
    ErrorBudgetExceeded,
    StageFailed,
    Unbalanced,
    describe_error,
)
from piko_flow.tasks import Shield

REMEMBERED = 10_000  # ids of committed runs
CheckClaim = Callable[[], Coroutine[Any, Any, None]]
Targets = Mapping[str, SinkTarget[Any]]


class Budget:
    """How many items of a run may be skipped or dead, and how many dead letters it holds. A share of the items is judged when the run has read them all."""

    def __init__(self, limit: int | float | None, *, run: str) -> None:
        self._limit, self._run = limit, run
        self.bad = self.dead_letters = 0
        self._first: StageFailed | None = None

    def note(self, failure: Callable[[], StageFailed]) -> None:
        """Keep the first item that failed, as its failure tells of it, for the error of a run that may have too many."""
        if self._first is None and self._limit is not None:
            self._first = failure()

    def spend(self, items: int) -> None:
        """Count bad items. Raises ErrorBudgetExceeded as soon as a limit in items is passed."""
        self.bad += items
        if isinstance(self._limit, int) and self.bad > self._limit:
            raise self._exceeded(self.bad, None, self._limit, self._first)

    def keep(self) -> bool:
        """Whether one more dead letter is held; those of all units of a process are counted together."""
        self.dead_letters += 1
        return self.dead_letters <= KEPT

    def judge(self, bad: int, read: int, dead_letters: Iterable[DeadLetter] = ()) -> None:
        """Judge a whole run by its totals. Raises ErrorBudgetExceeded.

        Of one whose items failed elsewhere the first of the `dead_letters` says.
        """
        if self._limit is None:
            return
        allowed = self._limit if isinstance(self._limit, int) else self._limit * read
        if bad > allowed:
            kept = (
                StageFailed(stage=one.stage, where=one.where, item=one.item, run=self._run, cause=one.error)
                for one in dead_letters
            )
            raise self._exceeded(bad, read, self._limit, self._first or next(kept, None))

    def _exceeded(
        self, bad: int, of: int | None, limit: int | float, first: StageFailed | None
    ) -> ErrorBudgetExceeded:
        error = ErrorBudgetExceeded(bad=bad, of=of, allowed=limit, run=self._run, first=first)
        error.__cause__ = None if first is None else first.__cause__
        return error


def check_accounts(accounts: Accounts, budget: Budget) -> None:
    """Raises Unbalanced where a unit is missing or counts do not add up, ErrorBudgetExceeded for too many bad items."""
    plan, run = accounts.plan, accounts.run
    progress = accounts.progress({}, 0.0)
    if missing := accounts.missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        units = counted(progress.units, "unit")
        raise Unbalanced(
            lines=[f"{len(missing)} of {units} did not read their source to the end: {shown}"], run=run
        )
    names = frozenset(plan.graph.boxes[number].name for number in one_to_one(plan))
    if lines := imbalances(progress.stages, progress.edges, names):
        raise Unbalanced(lines=lines, run=run)
    bad = sum(stage.skipped + stage.dead for stage in progress.stages)
    read = sum(stage.received for stage in progress.stages if stage.kind == "Source")
    dead_letters = (one for result in accounts.results() for one in result.dead_letters)
    budget.judge(bad, read, dead_letters)


def imbalances(
    stages: Sequence[StageReport], edges: Sequence[EdgeReport], one_to_one: frozenset[str]
) -> list[str]:
    """A line for each stage and edge of a whole run whose counts do not add up.

    Stages not in `one_to_one` balance by their edges alone: what each sent is what the stage emitted, what
    each delivered is what the stage received. Stage and edge count for themselves, so neither can hide a loss.
    """
    lines = []
    for stage in stages:
        ended = stage.emitted + stage.filtered + stage.skipped + stage.dead + stage.dropped
        if stage.name in one_to_one and stage.received != ended:
            lines.append(f"{stage.name} received {stage.received} items and accounts for {ended}")
        got = [edge.received for edge in edges if edge.end == stage.name]
        if got and sum(got) != stage.received:
            lines.append(f"{stage.name} was sent {sum(got)} items and received {stage.received}")
        sent = [edge.sent for edge in edges if edge.start == stage.name]
        left = set(sent) if stage.kind == "Broadcast" else {sum(sent)}
        if sent and left != {stage.emitted}:
            lines.append(
                f"{stage.name} emitted {stage.emitted} items and sent {' and '.join(map(str, sent))}"
            )
    lines += [
        f"{edge.start} sent {edge.sent} items to {edge.end}, which received {edge.received}"
        for edge in edges
        if edge.sent != edge.received + edge.left
    ]
    return lines


class Journal(Protocol):
    """What a run has prepared, and whether it was decided. Each call is one transaction.

    Once `decide` has returned, the run is to be committed, whoever does it: it can no longer be aborted.
    `decision` raises AlreadyCommitted for a run that has been committed, as far back as the journal remembers.
    """

    async def prepared(self, run: str) -> Mapping[str, UnitResult]: ...
    async def record(self, run: str, fingerprint: str, result: UnitResult) -> None: ...
    async def fingerprint(self, run: str) -> str | None: ...
    async def decide(self, run: str, results: Sequence[UnitResult]) -> None: ...
    async def decision(self, run: str) -> Sequence[UnitResult] | None: ...
    async def committed(self, run: str) -> None: ...
    async def live(self) -> Collection[Part]: ...


@dataclass
class _Entry:
    fingerprint: str = ""
    prepared: dict[str, UnitResult] = field(default_factory=dict)
    decided: list[UnitResult] | None = None


class MemoryJournal:
    """A journal in this process: for runs that need not survive it, and for tests.

    Of a committed run only the id is kept, of the last 10,000 of them.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._committed: dict[str, None] = {}

    async def prepared(self, run: str) -> Mapping[str, UnitResult]:
        """The units of the run that have prepared, by id."""
        return dict(self._entries.get(run, _Entry()).prepared)

    async def record(self, run: str, fingerprint: str, result: UnitResult) -> None:
        """Keep what a unit has prepared."""
        entry = self._entries.setdefault(run, _Entry(fingerprint))
        entry.fingerprint = fingerprint
        entry.prepared[result.unit] = result

    async def fingerprint(self, run: str) -> str | None:
        """The fingerprint of the plan that prepared the run's units; None for a run not seen before."""
        entry = self._entries.get(run)
        return entry.fingerprint if entry is not None else None

    async def decide(self, run: str, results: Sequence[UnitResult]) -> None:
        """Store all receipts together with the decision to commit them."""
        self._entries.setdefault(run, _Entry()).decided = list(results)

    async def decision(self, run: str) -> Sequence[UnitResult] | None:
        """The decided results of a run that is not yet committed; None where there is no decision."""
        if run in self._committed:
            raise AlreadyCommitted(run=run)
        entry = self._entries.get(run)
        return entry.decided if entry is not None else None

    async def committed(self, run: str) -> None:
        """Forget all but the run's id: everything it prepared is published."""
        self._entries.pop(run, None)
        self._committed[run] = None
        if len(self._committed) > REMEMBERED:
            del self._committed[next(iter(self._committed))]

    async def live(self) -> Collection[Part]:
        """The parts that runs have prepared and not yet committed; a sweep must leave them."""
        results = [result for entry in self._entries.values() for result in entry.prepared.values()]
        return [receipt.part for result in results for receipt in result.receipts.values()]


async def unclaimed() -> None:
    """A bare run has no claim that could be lost."""


async def commit_decided(
    plan: Plan,
    targets: Targets,
    results: Sequence[UnitResult],
    run: str,
    *,
    claim: CheckClaim = unclaimed,
    last: LastTransaction | None = None,
    shield: Shield | None = None,
) -> list[str]:
    """Commit each sink in the order declared, through its target, from receipts alone; `claim` is checked before each.

    Those that can commit in the run's `last` transaction are left to it.

    Gives the lines that say what was written where. Raises CommitFailed at the first sink that fails, or that has
    not ended when the time of the `shield` is over; calling it again commits all sinks again, which every target
    takes.
    """
    written: list[str] = []
    shield = shield or Shield(plan.options.teardown)
    for box in plan.sinks:
        stage = box.stage
        assert isinstance(stage, Sink)
        if box.name not in targets:
            continue
        receipts = [result.receipts[box.name] for result in results]
        if last is not None and last.takes(stage):
            last.add(box.name, stage, receipts)
            continue
        await shield.carry_out(claim(), "checking the claim")
        try:
            commit = targets[box.name].commit(receipts)
            written += _lines(await shield.carry_out(commit, f"the commit of sink {box.name!r}"))
        except Exception as error:
            raise CommitFailed(sink=box.name, run=run, cause=error) from error
    return written


async def sweep(plan: Plan, live: Collection[Part]) -> list[str]:
    """Let every sink remove what no live part needs; gives a line for each that could not, or did not end in time."""
    failures = []
    for box in plan.sinks:
        if isinstance(box.stage, Sink) and box.stage.target is not None:
            try:
                work = box.stage.copy_target().sweep(live)
                await Shield(plan.options.teardown).limit().carry_out(work, "the sweep")
            except Exception as error:  # the run's own outcome stands; this is for its report
                failures.append(f"remains of sink {box.name!r} ({describe_error(error)})")
    return failures


@asynccontextmanager
async def locked_targets(plan: Plan, run: str, leftovers: list[str]) -> AsyncIterator[Targets]:
    """Give the targets that commit, a copy for each sink with parts, by the sink's name.

    Each keeps other runs' sweeps from the parts of this one while the block is open. Raises StageFailed.
    """
    host, targets = ResourceHost(), dict[str, SinkTarget[Any]]()
    with ExitStack() as locks:
        try:
            for box in plan.sinks:
                if isinstance(box.stage, Sink) and box.stage.target is not None:
                    try:
                        targets[box.name] = box.stage.copy_target()
                        await _lock(targets[box.name], run, host, locks)
                    except Exception as error:
                        where = str(box.stage.origin)
                        raise StageFailed(
                            stage=box.name, where=where, item=NO_ITEM, run=run, cause=error
                        ) from error
            yield targets
        finally:
            failure = await host.close(None, plan.options.teardown)
            if failure is not None:
                leftovers.append(f"a lock of a sink ({describe_error(failure)})")


async def _lock(target: SinkTarget[Any], run: str, host: ResourceHost, locks: ExitStack) -> None:
    lock = await target.lock(run)
    if isinstance(lock, AbstractAsyncContextManager):
        await host.open(lambda: lock, RunInfo(run))
    else:
        locks.enter_context(lock)


def has_targets(plan: Plan) -> bool:
    """Whether there are sinks with parts: function sinks leave nothing to commit and nothing to remove."""
    return any(isinstance(box.stage, Sink) and box.stage.target is not None for box in plan.sinks)


def _lines(given: Any) -> list[str]:
    """The lines that a commit gave. It has published, so a missing or a single line is taken as what it means."""
    if given is None:
        return []
    return [given] if isinstance(given, str) else list(given)
