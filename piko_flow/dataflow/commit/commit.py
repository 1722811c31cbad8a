"""Publishing what a decided run has prepared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from typing import Any

from piko_flow.dataflow.commit.last_transaction import LastTransaction
from piko_flow.dataflow.commit.result import UnitResult
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.stages.resource import ResourceHost, RunInfo
from piko_flow.dataflow.stages.sink import Part, Sink, SinkTarget
from piko_flow.errors import CommitFailed, StageFailed, describe_error
from piko_flow.tasks import Shield

CheckClaim = Callable[[], Coroutine[Any, Any, None]]


async def unclaimed() -> None:
    """A bare run has no claim that could be lost."""


async def commit_decided(
    plan: Plan,
    results: Sequence[UnitResult],
    run: str,
    *,
    claim: CheckClaim = unclaimed,
    last: LastTransaction | None = None,
    shield: Shield | None = None,
) -> list[str]:
    """Commit each sink in the order declared, from receipts alone; `claim` is checked before each.

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
        if stage.target is None:
            continue
        receipts = [result.receipts[box.name] for result in results]
        if last is not None and last.takes(stage):
            last.add(box.name, stage, receipts)
            continue
        await shield.carry_out(claim(), "checking the claim")
        try:
            written += _lines(await shield.carry_out(stage.copy_target().commit(receipts)))
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
                await Shield(plan.options.teardown).limit().carry_out(work)
            except Exception as error:  # the run's own outcome stands; this is for its report
                failures.append(f"remains of sink {box.name!r} ({describe_error(error)})")
    return failures


@asynccontextmanager
async def locked_targets(plan: Plan, run: str, leftovers: list[str]) -> AsyncIterator[None]:
    """Let every sink keep other runs' sweeps from the parts of this one while the block is open."""
    host = ResourceHost()
    with ExitStack() as locks:
        try:
            for box in plan.sinks:
                if isinstance(box.stage, Sink) and box.stage.target is not None:
                    try:
                        await _lock(box.stage.copy_target(), run, host, locks)
                    except Exception as error:
                        where = str(box.stage.origin)
                        raise StageFailed(
                            stage=box.name, where=where, item=None, run=run, cause=error
                        ) from error
            yield
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
