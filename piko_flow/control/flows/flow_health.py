"""How a flow stands, in one word with its reason: the same for pages, API and command line, decided here alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from piko_flow.control.flows.code_elsewhere import not_here
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.schedule_rows import Schedule
from piko_flow.control.flows.told_times import Times
from piko_flow.counting import counted
from piko_flow.planning.flow_state import SCHEDULE, FlowState
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.records import FlowRecord, RunRecord

HELD_UP: Final = "held up"
LATE: Final = timedelta(seconds=30)  # beyond the grace of the row; a leader plans each second
MEANINGS: Final = {
    "unregistered": "no code is here for it",
    "refused": "its schedule cannot be used",
    "params refused": "its newest parameters cannot be used",
    "failing": "its last run failed",
    "paused": "it is paused",
    "disabled": "its schedule is switched off",
    "late": "a run is due and was not started",
    HELD_UP: "it waits for another flow, which does not get on",
    "gaps": "windows were planned, and are neither settled nor being worked on",
    "dead letters": "items that failed for good wait for somebody",
    "running": "a run is at work",
    "unscheduled": "it runs only when somebody asks",
    "waiting": "it has not run yet, or waits for the flow that it comes after",
    "healthy": "all is well",
}
"""Every word for how a flow stands, and what it means, the worst first."""
ATTENTION: Final = ("refused", "params refused", "failing", "late", HELD_UP, "gaps", "dead letters")
"""What a person should look at, the worst first."""
STUCK: Final = frozenset({*ATTENTION, "unregistered", "paused", "disabled", "unscheduled"}) - {
    "dead letters",
    "params refused",
}
"""Where a flow stands like this, one that comes after it waits for a person."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is so of a flow: a word of MEANINGS, and why."""

    word: str
    why: str


@dataclass(frozen=True, slots=True)
class Health:
    """How a flow stands: what is worst, and what of ATTENTION is so besides, the worst first.

    `upstream` is the flow whose windows it waits for, empty where it waits for none.
    """

    word: str
    why: str
    also: tuple[Finding, ...] = ()
    upstream: str = ""

    @property
    def told(self) -> str:
        """Why, else what the word means."""
        return self.why or MEANINGS[self.word]

    @property
    def concerns(self) -> tuple[Finding, ...]:
        """What of it a person should look at."""
        first = (Finding(self.word, self.told),) if self.word in ATTENTION else ()
        return first + self.also


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is known of a flow when it is judged.

    `flow` is None where the code has none of this name, `understood` its schedule, why its row is refused, or None
    without a row. `due` is the fire that is planned next, in the past where nobody has planned it. `live` are its
    queued and running runs; `params_refused` is why its newest parameters are; `state` is None for a flow without windows, and where only the record was read.
    """

    flow: Flow | None
    understood: Schedule | str | None = None
    record: FlowRecord | None = None
    last: RunRecord | None = None
    live: tuple[RunRecord, ...] = ()
    due: datetime | None = None
    letters: int = 0
    state: FlowState | None = None
    params_refused: str = ""

    @property
    def schedule(self) -> Schedule | None:
        """Its schedule, where its row can be used."""
        return self.understood if isinstance(self.understood, Schedule) else None


class Judge:
    """Judges flows from what is known of them; one that waits for another is judged by how that stands.

    Who asks of a flow that comes after another gives what is known of that, too; where he does not, nothing holds it up.
    """

    def __init__(
        self,
        known: Mapping[str, Known],
        *,
        now: datetime,
        paused_all: str,
        times: Callable[[str], Times],
    ) -> None:
        self._known, self._now, self._paused_all, self._times = known, now, paused_all, times
        self._judged: dict[str, Health] = {}

    def health(self, name: str) -> Health:
        """How the flow stands. Raises KeyError where nothing is known of it."""
        if name not in self._judged:
            self._judged[name] = Health("waiting", "")  # who comes after himself waits for ever
            upstream = self._waits_for(name)
            found = list(self._findings(name, upstream))
            first = found[0]
            also = tuple(one for one in found[1:] if one.word in ATTENTION)
            self._judged[name] = Health(first.word, first.why, also, upstream)
        return self._judged[name]

    def _findings(self, name: str, upstream: str) -> Iterator[Finding]:
        """What is so, the worst first."""
        known, paused = self._known[name], self._paused(self._known[name])
        if known.flow is None:
            yield Finding("unregistered", not_here(known.last))
        refused = known.understood if isinstance(known.understood, str) else _refused(known.record)
        if refused and known.flow is not None:
            yield Finding("refused", refused)
        if known.params_refused and known.flow is not None:
            yield Finding("params refused", known.params_refused)
        if known.last is not None and known.last.status is RunStatus.FAILED:
            yield Finding("failing", known.last.error_msg or known.last.reason)
        schedule = known.schedule
        if schedule is not None and schedule.active and paused:
            yield Finding("paused", paused)
        if schedule is not None and not schedule.active:
            yield Finding("disabled", "")
        if not paused:
            yield from self._waits(name, upstream)
        if gap := self._gap(name):
            yield Finding("gaps", gap)
        if known.letters:
            told = f"{counted(known.letters, 'item')} failed for good and can be looked at and replayed"
            yield Finding("dead letters", told)
        yield self._well(name, upstream)

    def _well(self, name: str, upstream: str) -> Finding:
        """What there is to say of a flow of which nothing else is."""
        known = self._known[name]
        if any(run.status is RunStatus.RUNNING for run in known.live):
            return Finding("running", "")
        if known.understood is None:
            return Finding("unscheduled", "")
        if upstream:
            return Finding("waiting", f"it comes after {upstream!r}, which has not got so far")
        return Finding("waiting" if known.last is None else "healthy", "")

    def _paused(self, known: Known) -> str:
        return self._paused_all or (known.record.paused if known.record is not None else "")

    def _waits(self, name: str, upstream: str) -> Iterator[Finding]:
        """Runs that are due and were not made, or not started; windows that wait for a flow that does not get on."""
        known, schedule = self._known[name], self._known[name].schedule
        if schedule is None or not schedule.active:
            return
        time, patience = self._times(name).at, schedule.row.misfire_grace + LATE
        if upstream:
            if held := self._held_up(name, upstream):
                yield Finding(HELD_UP, held)
        elif not known.live and known.due is not None and known.due + patience < self._now:
            yield Finding("late", f"a run was due at {time(known.due)} and was not made")
        waiting = [run for run in known.live if run.status is RunStatus.QUEUED and run.origin == SCHEDULE]
        if waiting and len(waiting) == len(known.live):
            since = min(map(_waits_since, waiting))
            if since + patience < self._now:
                yield Finding("late", f"a run waits since {time(since)} and was not started")

    def _waits_for(self, name: str) -> str:
        """The flow whose windows this one waits for; empty where it waits for none."""
        known = self._known[name]
        upstream = known.flow.after if known.flow is not None else None
        if upstream is None or known.due is None or known.due > self._now or known.live:
            return ""
        covered = self._covered(upstream)
        return "" if covered is not None and covered >= known.due else upstream

    def _covered(self, upstream: str) -> datetime | None:
        known = self._known.get(upstream)
        return known.record.watermark if known is not None and known.record is not None else None

    def _held_up(self, name: str, upstream: str) -> str:
        """Which window waits, and how the flow stands that it waits for; empty where that gets on by itself."""
        if upstream not in self._known:
            return ""
        stands = self.health(upstream)
        words = {stands.word, *(one.word for one in stands.also)}
        if not words & STUCK:
            return ""
        time, due, covered = self._times(name).at, self._known[name].due, self._covered(upstream)
        assert due is not None
        until = "has settled nothing yet" if covered is None else f"is settled up to {time(covered)}"
        text = f"its window up to {time(due)} waits for {upstream!r}, which {until}"
        return f"{text} ({stands.word}: {stands.told})"

    def _gap(self, name: str) -> str:
        """The first gap in words; empty where there is none, or none that is sure."""
        known, times = self._known[name], self._times(name)
        if known.state is not None:
            gaps = known.state.gaps()
            return gaps_told(gaps, times) if gaps else ""
        record = known.record
        if known.flow is None or not known.flow.stateful or record is None:
            return ""
        mark, planned = record.watermark, record.planned_until
        behind = mark if mark is not None and planned is not None and mark < planned else None
        begins = (one for one in (record.first_failed, behind) if one is not None)
        first = min((one for one in begins if not any(map(_at(one), known.live))), default=None)
        return "" if first is None else f"there is a gap from {times.at(first)} on"


def gaps_told(gaps: tuple[Window, ...], times: Times) -> str:
    """How many gaps there are, and which is the first."""
    first = f"from {times.at(gaps[0].start)} to {times.at(gaps[0].end)}"
    return f"there is a gap {first}" if len(gaps) == 1 else f"there are {len(gaps):,} gaps, the first {first}"


def due_of(known: Known, now: datetime, paused_all: str) -> datetime | None:
    """The fire that is planned next; None where none is, because the flow is paused or its schedule is not active."""
    after = due_after(known, now, paused_all)
    return None if after is None or known.schedule is None else known.schedule.trigger.next_after(after)


def due_after(known: Known, now: datetime, paused_all: str) -> datetime | None:
    """The instant after which the fire lies that is planned next; None where none is planned."""
    schedule, record = known.schedule, known.record
    if schedule is None or not schedule.active or paused_all or (record is not None and record.paused):
        return None
    return (record.planned_until if record is not None else None) or now


def grouped(live: Iterable[RunRecord]) -> dict[str, tuple[RunRecord, ...]]:
    """Live runs by flow."""
    found: dict[str, list[RunRecord]] = {}
    for run in live:
        found.setdefault(run.flow, []).append(run)
    return {flow: tuple(runs) for flow, runs in found.items()}


def _refused(record: FlowRecord | None) -> str:
    return record.refused if record is not None else ""


def _waits_since(run: RunRecord) -> datetime:
    since = (run.scheduled_time, run.not_before, run.created_at)
    return max(one for one in since if one is not None)


def _at(instant: datetime) -> Callable[[RunRecord], bool]:
    """Whether a run works on the window in which the instant lies."""
    return lambda run: run.window is not None and run.window.start <= instant < run.window.end
