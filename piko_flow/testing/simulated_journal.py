"""What a store has accepted, compared at every write with what it may accept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from itertools import pairwise

from piko_flow.planning.flow_state import SCHEDULE
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.batch import Batch
from piko_flow.store.memory.store import MemoryStore
from piko_flow.store.records import Lease, RunRecord

KEPT = 400  # lines of the log; the digest covers all


@dataclass(frozen=True, slots=True)
class Commit:
    """A run's success that the store accepted."""

    run: int
    flow: str
    window: Window
    generation: int
    origin: str


class Journal:
    """Reads the rows behind the replicas' backs; `violations` has what must not happen and did."""

    def __init__(self, store: MemoryStore) -> None:
        self._rows = store._rows
        self.violations: list[str] = []
        self.commits: list[Commit] = []
        self.given_up: dict[str, set[Window]] = {}
        """By flow: windows of runs that failed or were cancelled; they stay gaps until somebody asks for them."""
        self.began: dict[str, datetime] = {}
        """By stateless flow: the instant after which its fires count."""
        self.terms: dict[str, int] = {}
        """By lease: the newest term that was granted or written in."""
        self.writes = 0
        self.lines: deque[str] = deque(maxlen=KEPT)
        self._digest = blake2b(digest_size=8)

    def note(self, line: str) -> None:
        """One line of the log."""
        self.lines.append(line)
        self._digest.update(line.encode() + b"\n")

    def wrong(self, line: str) -> None:
        """Something that must not happen has happened."""
        self.violations.append(line)
        self.note(f"VIOLATION {line}")

    @property
    def digest(self) -> str:
        """A short text that is another one when anything in the log is."""
        return self._digest.hexdigest()

    def granted(self, lease: Lease | None) -> None:
        """The store gave a lease, or gave it again to who has it."""
        if lease is not None:
            if lease.term > self.terms.get(lease.name, 0):
                self.note(f"{lease.holder} was given {lease.name} in term {lease.term} until {lease.until}")
            self.terms[lease.name] = max(self.terms.get(lease.name, 0), lease.term)

    def concerned(self, batch: Batch) -> dict[int, RunRecord]:
        """The runs that the batch wants to end or to give back, as they are before it."""
        numbers = [ending.run for ending in batch.endings] + [requeue.run for requeue in batch.requeues]
        return {number: self._rows.runs[number] for number in numbers if number in self._rows.runs}

    def accepted(self, batch: Batch, before: dict[int, RunRecord]) -> None:
        """The store has written the batch."""
        self.writes += 1
        self._check_term(batch)
        for ending in batch.endings:
            if self._moved(before, ending.run, ending.claim, batch):
                self._ended(self._rows.runs[ending.run])
        for requeue in batch.requeues:
            self._moved(before, requeue.run, requeue.claim, batch)
        for planned in batch.planned:
            self.began.setdefault(planned.flow, planned.until)
        flows = {decision.flow for decision in batch.decisions}
        flows |= {run.flow for run in before.values()} | {run.flow for run in batch.queue}
        for flow in sorted(flows):
            self._check_live(flow)

    def _check_term(self, batch: Batch) -> None:
        if batch.term is None:
            return
        newest = self.terms.get(batch.term.lease, 0)
        if batch.term.number < newest:
            self.wrong(f"two terms: a write in term {batch.term.number} was accepted after term {newest}")
        self.terms[batch.term.lease] = max(newest, batch.term.number)

    def _moved(self, before: dict[int, RunRecord], number: int, claim: int, batch: Batch) -> bool:
        """Whether the run has left RUNNING by this batch; only its claim may do that, or a leader."""
        old, new = before.get(number), self._rows.runs.get(number)
        if old is None or new is None or old.status is not RunStatus.RUNNING or new.status is old.status:
            return False
        if old.claim != claim or (old.replica != batch.replica and batch.term is None):
            self.wrong(
                f"stale claim: {batch.replica} moved run {number} with claim {claim}, "
                f"which {old.replica} had under claim {old.claim}"
            )
        return True

    def _ended(self, run: RunRecord) -> None:
        if run.window is None:
            return
        if run.status is RunStatus.SUCCESS:
            self.commits.append(Commit(run.id, run.flow, run.window, run.generation, run.origin))
        else:
            self.given_up.setdefault(run.flow, set()).add(run.window)

    def _check_live(self, flow: str) -> None:
        live = [run for run in self._rows.sorted_runs(self._rows.live_of[flow]) if run.window is not None]
        ordered = sorted(live, key=lambda run: run.window or ())
        for first, second in pairwise(ordered):
            if first.window and second.window and second.window.start < first.window.end:
                self.wrong(
                    f"overlap: runs {first.id} and {second.id} of {flow!r} are live over the same time"
                )

    def check_commits(self) -> None:
        """No stretch was committed twice for the schedule in one generation."""
        mine = [commit for commit in self.commits if commit.origin == SCHEDULE]
        mine.sort(key=lambda commit: (commit.flow, commit.generation, commit.window))
        for first, second in pairwise(mine):
            same = (first.flow, first.generation) == (second.flow, second.generation)
            if same and second.window.start < first.window.end:
                self.wrong(
                    f"twice: runs {first.run} and {second.run} of {first.flow!r} both committed "
                    f"{second.window} in generation {first.generation}"
                )
