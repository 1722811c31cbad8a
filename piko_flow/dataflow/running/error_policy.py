"""What becomes of an item whose last attempt failed: skipped, a dead letter, or the end of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from piko_flow.dataflow.commit.commit import Budget
from piko_flow.dataflow.graph.boxes import Box
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.reports.failed_place import place_of, trace_of
from piko_flow.dataflow.reports.observer import Observer
from piko_flow.dataflow.reports.tally import StageTally
from piko_flow.dataflow.stages.resource import opening_note
from piko_flow.dataflow.stages.stage_options import OnError
from piko_flow.errors import RunError, StageFailed, describe_error
from piko_flow.tasks import escape_failure

ITEM_FAILURES: Final = (Exception, asyncio.CancelledError, SystemExit)
"""What a plain function may raise that is the failure of its item: nobody else can cancel it while it works."""
OnFailure = Callable[[Any, BaseException], None]
TEXT = 1000  # characters of an error that a dead letter holds


class ErrorPolicy:
    """Does with the failed items of one unit what their stage says, and keeps its dead letters."""

    def __init__(self, *, run: str, unit: str, budget: Budget, observer: Observer | None) -> None:
        self.run, self.unit = run, unit
        self._budget, self._observer = budget, observer
        self.dead_letters: list[DeadLetter] = []

    def apply(
        self,
        box: Box,
        tally: StageTally,
        on_error: OnError,
        item: Any,
        error: Exception,
        *,
        batch: bool = False,
    ) -> None:
        """Treat a failed item (or a failed list of items, a batch) as `on_error` says. Raises StageFailed for "fail"."""
        if on_error == "fail":
            raise self.failure(box, item, error) from error
        items = len(item) if batch else 1
        if on_error == "skip":
            tally.skipped += items
        else:
            tally.dead += items
            dead_letter = DeadLetter(
                stage=box.name,
                where=str(box.stage.origin),
                item=item,
                error=describe_error(error, TEXT),
                error_type=type(error).__name__,
                unit=self.unit,
                batch=batch,
            )
            if self._budget.keep():
                dead_letter = replace(dead_letter, place=place_of(error), trace=trace_of(error))
                self.dead_letters.append(dead_letter)
            if self._observer is not None:
                self._observer.dead_letter(dead_letter)
        self._budget.note(lambda: self._caused(box, item, error))
        self._budget.spend(items)

    def _caused(self, box: Box, item: Any, error: Exception) -> StageFailed:
        failure = self.failure(box, item, error)
        failure.__cause__ = error
        return failure

    def ours(self, error: BaseException) -> bool:
        """Whether the error ends this run. That of a run which a stage's function started is the function's failure."""
        return isinstance(error, RunError) and getattr(error, "run", None) == self.run

    def of_stage(self, box: Box, tally: StageTally, on_error: OnError) -> OnFailure:
        """The policy of one stage, as a function of item and error, which is one of ITEM_FAILURES."""

        def failed(item: Any, error: BaseException) -> None:
            failure = error if isinstance(error, Exception) else escape_failure(error, stopping=False)
            self.apply(box, tally, on_error, item, failure)

        return failed

    def failure(self, box: Box, item: Any, error: BaseException) -> StageFailed:
        """The error that ends the run because of this stage."""
        reason = describe_error(error) + opening_note(error)
        return StageFailed(stage=box.name, where=str(box.stage.origin), item=item, run=self.run, cause=reason)
