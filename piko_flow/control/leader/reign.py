"""What a leader knows while it leads: made anew from the store when its term begins, dropped when it ends."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from piko_flow.control.flows.schedule_rows import Flows, Schedule
from piko_flow.control.leader.params_book import ParamsBook
from piko_flow.errors import describe_error
from piko_flow.planning.admission import Admission, Waiting
from piko_flow.planning.flow_state import SCHEDULE
from piko_flow.planning.run_state import LIVE, RunStatus
from piko_flow.planning.stateless import next_due
from piko_flow.store.batch import PlannedFires, Term
from piko_flow.store.records import BackfillRecord, FlowRecord, RunRecord

REMEMBERED = (
    20_000  # ended runs with their attempt, so that an older reading of the store does not bring them back
)


class Reign:
    """A leader's memory: schedules and when they are due next, who waits and who runs, backfills, parameters.

    The store is the truth; this is what was read from it when the term began and what this leader wrote since.
    """

    ahead = timedelta(0)
    """How long before they are due fires of stateless flows are looked at."""

    def __init__(self, term: Term, *, group_limits: Mapping[str, int], flows: Flows | None = None) -> None:
        """`flows` are those of the code: what they say of a flow holds also where it has no schedule."""
        self.term = term
        self._flows = flows
        self.schedules: dict[str, Schedule] = {}
        self.dependents: defaultdict[str, set[str]] = defaultdict(set)
        """By flow: those whose windows wait for its."""
        self.facts: dict[str, FlowRecord] = {}
        self.backfills: dict[int, BackfillRecord] = {}
        self.params = ParamsBook()
        self.backlog: set[str] = set()
        """Stateful flows that have something to plan before their next fire."""
        self.stalled: set[str] = set()
        """Stateful flows with due windows that wait until one of their runs ends."""
        self.starts: list[PlannedFires] = []
        """Where stateless flows begin whose schedule is new or has changed, to be stored with the next step."""
        self.completed: list[tuple[str, datetime]] = []
        """Dates that have been dealt with, to be noted in their rows."""
        self.fed: set[int] = set()
        """Backfills that had nothing to queue when they were asked, until one of the runs ends."""
        self.done: list[int] = []
        """Backfills whose last run has ended."""
        self.paused_all = ""
        self.admission = Admission(self)
        self.live: dict[int, RunRecord] = {}
        self.queued_of: Counter[str] = Counter()
        """By flow: runs of the schedule that wait for their first start."""
        self.held: set[str] = set()
        """Stateless flows whose fires wait until one of their runs has started or ended."""
        self._group_limits = group_limits
        self.refused: dict[str, str] = {}
        """Flows that cannot be planned, with the reason, to be stored."""
        self._ended: dict[int, int] = {}
        self._due: list[tuple[datetime, datetime, int, str]] = []  # when to look, and when the fire is due
        self._turn: defaultdict[str, int] = defaultdict(int)
        self._expected: dict[str, datetime] = {}

    def instances(self, flow: str) -> int:
        """How many runs of the flow may run at once, backfills not counted."""
        schedule = self.schedules.get(flow)
        return schedule.row.max_instances if schedule is not None else 1

    def group(self, group: str) -> int | None:
        """How many runs of the group may run at once; None, no limit, for a group for which none is set."""
        return self._group_limits.get(group)

    def backfill(self, backfill: int) -> int:
        """How many runs of the backfill may run at once: 0 while it is paused, 1 when it is over and a run is retried."""
        record = self.backfills.get(backfill)
        if record is None:
            return 1
        return record.concurrency if record.state == "running" else 0

    def paused(self, flow: str) -> str:
        """Why the flow's schedule is paused; empty if it is not."""
        facts = self.facts.get(flow)
        return self.paused_all or (facts.paused if facts is not None else "")

    def follows(self, flow: str) -> bool:
        """Whether fires of the flow become runs now."""
        schedule = self.schedules.get(flow)
        return schedule is not None and schedule.active and not self.paused(flow)

    def only_here(self, flow: str) -> bool:
        """Whether only the leader may run the flow."""
        found = self._flows.get(flow) if self._flows is not None else None
        return found is not None and found.execute == "leader"

    def waiting(self, run: RunRecord) -> Waiting:
        """The run as admission sees it."""
        schedule = self.schedules.get(run.flow)
        group = schedule.row.concurrency_group if schedule is not None else "default"
        return Waiting(run.id, run.flow, group, run.backfill, run.not_before)

    def add(self, run: RunRecord) -> bool:
        """Take in a live run; False for one that is known already or whose attempt has ended meanwhile."""
        if self._ended.get(run.id, 0) >= run.attempt:
            return False
        known = self.live.get(run.id)
        if known is not None and (known.status, known.claim, known.admitted) == (
            run.status,
            run.claim,
            run.admitted,
        ):
            return False
        if known is not None:
            self.admission.end(run.id)
        self._keep(run)
        if run.status is RunStatus.RUNNING or (run.admitted and not self.only_here(run.flow)):
            self.admission.start(self.waiting(run))
        else:
            self.admission.wait(self.waiting(run))
        return True

    def queued(self, run: RunRecord | None) -> None:
        """Take in a run that was queued; None where its key was there already."""
        if run is not None and run.status in LIVE:
            self.add(run)

    def end(self, run: int) -> RunRecord | None:
        """The run is over; None for one that was not known."""
        known = self._take(run)
        self.admission.end(run)
        self.fed.clear()
        if known is not None:
            self._ended[run] = known.attempt
            if len(self._ended) > REMEMBERED:
                del self._ended[next(iter(self._ended))]
        return known

    def drop(self, run: int) -> None:
        """It is not known where the run stands; the store will tell."""
        self.admission.end(run)
        self._take(run)

    def back(self, run: RunRecord) -> None:
        """The run waits again, for another attempt or for another replica."""
        self.admission.end(run.id)
        self._keep(run)
        self.admission.wait(self.waiting(run))

    def offered(self, run: int) -> None:
        """A run that waited may be claimed by any replica; where the store has it otherwise, it waits again."""
        known = self.live.get(run)
        if known is not None and known.status is RunStatus.QUEUED:
            self.live[run] = replace(known, admitted=True)

    def started(self, run: RunRecord) -> None:
        """A run that waited has been claimed by this replica."""
        self._keep(run)

    def _keep(self, run: RunRecord) -> None:
        self._take(run.id)
        self.live[run.id] = run
        if _waits(run):
            self.queued_of[run.flow] += 1

    def _take(self, run: int) -> RunRecord | None:
        """Out of the live runs; a flow whose fires it held is looked at again."""
        known = self.live.pop(run, None)
        if known is not None and _waits(known):
            self.queued_of[known.flow] -= 1
        if known is not None and known.flow in self.held:
            self.held.discard(known.flow)
            until = self.facts[known.flow].planned_until
            if until is not None:
                self.expect(known.flow, until)
        return known

    def note(self, flow: str, **changes: object) -> None:
        """Remember what is stored of a flow."""
        self.facts[flow] = replace(self.facts.get(flow, FlowRecord(flow)), **changes)  # type: ignore[arg-type]

    def expect(self, flow: str, after: datetime) -> None:
        """Look at the flow when its next fire after the instant is due; what was expected before is forgotten."""
        schedule, coming = self.schedules.get(flow), None
        if schedule is not None and self.follows(flow):
            coming = next_due(flow, schedule.trigger, after=after, jitter=schedule.jitter)
        if coming is not None and self._expected.get(flow) == coming[1]:
            return  # it is in the heap already, which is not to grow by asking again
        self._unexpect(flow)
        if schedule is not None and coming is not None:
            due = self._expected[flow] = coming[1]
            look = due if schedule.flow.stateful else due - self.ahead
            heapq.heappush(self._due, (look, due, self._turn[flow], flow))

    def _unexpect(self, flow: str) -> None:
        self._turn[flow] += 1
        self._expected.pop(flow, None)

    def follow(self, schedule: Schedule) -> None:
        """From now on this is the flow's schedule."""
        name = schedule.flow.name
        self.schedules[name] = schedule
        if schedule.flow.after is not None:
            self.dependents[schedule.flow.after].add(name)

    def forget(self, flow: str) -> None:
        """The flow has no schedule any more."""
        self._unexpect(flow)
        self.backlog.discard(flow)
        self.schedules.pop(flow, None)
        for waiting in self.dependents.values():
            waiting.discard(flow)

    def pause(self, flow: str, why: str) -> None:
        """The flow's schedule is paused: nothing of it is planned, what is queued or running goes on."""
        self.note(flow, paused=why)
        self.backlog.discard(flow)
        self._unexpect(flow)

    def refuse(self, flow: str, error: Exception) -> None:
        """The flow cannot be planned: it is left alone until its row changes, and all others go on."""
        self.forget(flow)
        self.refused[flow] = told = f"planning failed: {describe_error(error, 300)}"
        self.note(flow, refused=told)

    def due(self, now: datetime) -> tuple[str, datetime] | None:
        """The flow whose fire is to be looked at first, and when that is due: perhaps a little after `now`.

        None when there is none. It has to be expected again.
        """
        while self._due and self._due[0][0] <= now:
            _, due, turn, flow = heapq.heappop(self._due)
            if self._turn[flow] == turn:
                del self._expected[flow]
                return flow, due
        return None

    def next_look(self) -> datetime | None:
        """When the next fire is to be looked at; None when none is expected."""
        while self._due and self._turn[self._due[0][3]] != self._due[0][2]:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None


def _waits(run: RunRecord) -> bool:
    """Whether it is a run of the schedule that has not begun: fires that come meanwhile may join it."""
    return run.status is RunStatus.QUEUED and run.origin == SCHEDULE and run.attempt == 1 and not run.claim
