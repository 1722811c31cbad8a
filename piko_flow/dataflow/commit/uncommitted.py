"""What an error that ends a run tells of it: what is there all the same, and where items failed."""

from __future__ import annotations

from collections.abc import Sequence

from piko_flow.dataflow.commit.last_transaction import LastTransaction
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.reports.facts import Progress
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.errors import ErrorBudgetExceeded, RunError


def note_uncommitted_writes(
    error: BaseException, plan: Plan, progress: Progress, *, last: LastTransaction | None
) -> None:
    """Let the error that ends the run name those of its sinks that have written at once, and the stages of bad items.

    While units are in work the counts are behind what sinks do: then all that write at once are named.
    """
    if not isinstance(error, RunError) or getattr(error, "run", None) != progress.run:
        return
    if isinstance(error, ErrorBudgetExceeded):
        error.stages = {
            stage.name: stage.skipped + stage.dead for stage in progress.stages if stage.skipped + stage.dead
        }
    error.uncommitted_writes = uncommitted_writes_of(
        plan, progress, last=last, at_work=progress.units_done < progress.units
    )


def uncommitted_writes_of(
    plan: Plan, progress: Progress, *, last: LastTransaction | None, at_work: bool
) -> tuple[str, ...]:
    """The sinks that have written at once; while units are `at_work` all that may have done so by now."""
    written = {stage.name for stage in progress.stages if at_work or stage.emitted}
    return tuple(box.name for box in plan.sinks if box.name in written and _at_once(box.stage, last))


def _at_once(stage: object, last: LastTransaction | None) -> bool:
    """Whether what it wrote stays; a sink that commits with the run's end holds its items until then."""
    return isinstance(stage, Sink) and stage.writes_at_once and not (last is not None and last.takes(stage))


def note_leftovers(error: BaseException, leftovers: Sequence[str]) -> None:
    """Let the error that ends a run say what did not end, or could not be removed."""
    if not leftovers:
        return
    if isinstance(error, RunError):
        error.leftovers = tuple(leftovers)
    error.add_note(f"Left behind: {'; '.join(leftovers)}")
