"""How many items of a run may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.errors import ErrorBudgetExceeded, StageFailed

KEPT = 1000  # dead letters that a run holds; the rest are only counted


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
