"""What a leader's step puts together, each piece with what is to be done when it has been written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from piko_flow.control.runs.recorder import LeaderAnswer, LeaderAsk
from piko_flow.store.batch import Decided, Decision, Ending, PlannedFires, Requeue, Term
from piko_flow.store.records import NewRun, RunRecord

OnQueued: TypeAlias = Callable[[RunRecord | None], None]
OnDecided: TypeAlias = Callable[[tuple[Decided, list[RunRecord]] | Exception], None]
OnFailure: TypeAlias = Callable[[Exception], None]


class Draft:
    """A leader's ask in the making. After the write each piece is told what became of it, in order."""

    def __init__(self, term: Term) -> None:
        self.ask = LeaderAsk(term)
        self.told: datetime | None = None
        """The store's time when it was written; None before."""
        self._queued: list[tuple[OnQueued, OnFailure]] = []
        self._decided: list[OnDecided] = []
        self._claimed: list[Callable[[list[RunRecord]], None]] = []
        self._admitted: list[Callable[[], None]] = []
        self._failed: list[OnFailure] = []
        self._news: list[tuple[int, Callable[[], None]]] = []

    def plan(self, planned: PlannedFires) -> None:
        """Note that a stateless flow's fires have become rows."""
        self.ask.planned.append(planned)

    def queue(self, run: NewRun, then: OnQueued, refused: OnFailure) -> None:
        """Queue a run; `then` gets its record, or None where its key was there or where `refused` gets why it cannot be kept."""
        self.ask.queue.append(run)
        self._queued.append((then, refused))

    def decide(self, decision: Decision, then: OnDecided) -> None:
        """Apply a rule to a flow's state; `then` gets what it decided with the runs, or what it raised."""
        self.ask.decisions.append(decision)
        self._decided.append(then)

    def admit(self, run: int, then: Callable[[], None]) -> None:
        """Let any replica claim the run; `then` is called when that has been written."""
        self.ask.admit.append(run)
        self._admitted.append(then)

    def claim(self, runs: list[int], then: Callable[[list[RunRecord]], None]) -> None:
        """Claim queued runs for this replica; `then` gets those it has now."""
        wanted = frozenset(runs)
        self.ask.claim += runs
        self._claimed.append(lambda records: then([one for one in records if one.id in wanted]))

    def requeue(self, requeue: Requeue) -> None:
        """Give a dead replica's run back."""
        self.ask.requeues.append(requeue)

    def end(self, ending: Ending) -> None:
        """End a dead replica's run."""
        self.ask.endings.append(ending)

    def when_moved(self, run: int, then: Callable[[], None]) -> None:
        """What to do when the end or the return of a dead replica's run was written and its claim still held."""
        self._news.append((run, then))

    def on_failure(self, then: OnFailure) -> None:
        """What to undo when nothing was written, or when that is not known."""
        self._failed.append(then)

    def tell(self, answer: LeaderAnswer) -> None:
        """Hand out what was written."""
        self.told = answer.now
        for place, ((then, refused), record) in enumerate(zip(self._queued, answer.queued, strict=True)):
            if place in answer.refused:
                refused(answer.refused[place])
            then(record)
        for done, decided in zip(self._decided, answer.decided, strict=True):
            done(decided)
        for claimed in self._claimed:
            claimed(answer.claimed)
        for admitted in self._admitted:
            admitted()
        for run, moved in self._news:
            if run not in answer.stale:
                moved()

    def fail(self, error: Exception) -> None:
        """Hand out that it was not written."""
        for then in self._failed:
            then(error)
