"""Publishing what a decided run has prepared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from piko_flow.dataflow.commit.last_transaction import LastTransaction
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.running.unit import UnitResult
from piko_flow.dataflow.stages.sink import Part, Sink
from piko_flow.errors import CommitFailed, StageFailed, describe_error

CheckClaim = Callable[[], Awaitable[None]]


async def unclaimed() -> None:
    """A bare run has no claim that could be lost."""


async def commit_decided(
    plan: Plan,
    results: Sequence[UnitResult],
    run: str,
    *,
    claim: CheckClaim = unclaimed,
    last: LastTransaction | None = None,
) -> list[str]:
    """Commit each sink in the order declared, from receipts alone; `claim` is checked before each.

    Those that can commit in the run's `last` transaction are left to it.

    Gives the lines that say what was written where. Raises CommitFailed at the first sink that fails;
    calling it again commits all sinks again, which every target takes.
    """
    written: list[str] = []
    for box in plan.sinks:
        stage = box.stage
        assert isinstance(stage, Sink)
        if stage.target is None:
            continue
        receipts = [result.receipts[box.name] for result in results]
        if last is not None and last.takes(stage):
            last.add(box.name, stage, receipts)
            continue
        await claim()
        try:
            written += await stage.copy_target().commit(receipts)
        except Exception as error:
            raise CommitFailed(sink=box.name, run=run, cause=error) from error
    return written


async def sweep(plan: Plan, live: Collection[Part]) -> list[str]:
    """Let every sink remove what no live part needs; gives a line for each that could not."""
    failures = []
    for box in plan.sinks:
        if isinstance(box.stage, Sink) and box.stage.target is not None:
            try:
                await box.stage.copy_target().sweep(live)
            except Exception as error:  # the run's own outcome stands; this is for its report
                failures.append(f"remains of sink {box.name!r} ({describe_error(error)})")
    return failures


async def lock_targets(plan: Plan, run: str, holds: AsyncExitStack) -> None:
    """Let every sink keep other runs' sweeps from the parts of this one until `holds` is closed."""
    for box in plan.sinks:
        if isinstance(box.stage, Sink) and box.stage.target is not None:
            try:
                held = await box.stage.copy_target().lock(run)
                if isinstance(held, AbstractAsyncContextManager):
                    await holds.enter_async_context(held)
                else:
                    holds.enter_context(held)
            except Exception as error:
                where = str(box.stage.origin)
                raise StageFailed(stage=box.name, where=where, item=None, run=run, cause=error) from error


def has_targets(plan: Plan) -> bool:
    """Whether there are sinks with parts: function sinks leave nothing to commit and nothing to remove."""
    return any(isinstance(box.stage, Sink) and box.stage.target is not None for box in plan.sinks)
