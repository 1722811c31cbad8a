"""How each flow stands, and what needs attention: pure functions of what was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from piko_flow.control.flow import Flow
from piko_flow.control.plane_overview import FlowsInDetail, FlowsNow
from piko_flow.control.plane_part import zone_of
from piko_flow.control.registry import Registry
from piko_flow.control.schedule_rows import Schedule, understand
from piko_flow.ops.console.strip import Strip, strip_of
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.records import FlowRecord, RunRecord, ScheduleRecord

LATE = timedelta(seconds=30)  # beyond the grace of the row; a leader plans each second
WORST = ("refused", "failing", "late", "gaps", "running", "paused", "disabled", "unregistered", "unscheduled")
HEALTH = {
    "refused": ("failed", "its schedule cannot be used"),
    "failing": ("failed", "its last run failed"),
    "late": ("gap", "a run is due and was not started"),
    "gaps": ("gap", "windows are missing"),
    "running": ("running", "a run is at work"),
    "paused": ("waiting", "it is paused"),
    "disabled": ("waiting", "its schedule is switched off"),
    "unregistered": ("waiting", "no code is here for it"),
    "unscheduled": ("none", "it runs only when somebody asks"),
    "waiting": ("waiting", "it has not run yet"),
    "healthy": ("success", "all is well"),
}
"""For each health its colour and what it means."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a flow stands, in one word of HEALTH, with the reason where there is one."""

    name: str
    health: str
    why: str
    schedule: Schedule | None
    due: datetime | None
    queued: int
    running: int
    letters: int
    last: RunRecord | None
    record: FlowRecord | None

    @property
    def tone(self) -> str:
        """The colour of its health."""
        return HEALTH[self.health][0]

    @property
    def told(self) -> str:
        """Why, else what its health means."""
        return self.why or HEALTH[self.health][1]


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A line of the overview: the standing, the last runs, how far behind its data is and what is missing of it."""

    standing: Standing
    description: str
    kind: str
    strip: Strip
    zone: str
    lag: timedelta | None
    gaps: int


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that a person should look at, and where."""

    tone: str
    what: str
    text: str
    href_flow: str = ""
    href: str = ""


class Standings:
    """Judges how flows stand. Remembers what rows mean, one for each flow, until they change."""

    def __init__(self, registry: Registry[Flow], zone: str) -> None:
        self._registry, self._zone = registry, zone
        self._known: dict[str, tuple[ScheduleRecord, Schedule | str]] = {}
        self._due: dict[str, tuple[Schedule, datetime, datetime | None]] = {}

    def of(self, now: FlowsNow) -> list[Standing]:
        """The standing of every flow, by name."""
        live = Counter((run.flow, run.status) for run in now.live)
        self._known = {name: found for name, found in self._known.items() if name in now.rows}
        self._due = {name: found for name, found in self._due.items() if name in now.rows}
        return [self._standing(name, now, live, now.letters.get(name, 0)) for name in now.names]

    def _standing(
        self, name: str, now: FlowsNow, live: Counter[tuple[str, RunStatus]], letters: int
    ) -> Standing:
        record, last, row = now.records.get(name), now.last.get(name), now.rows.get(name)
        understood = None if row is None else self._understood(row)
        schedule = understood if isinstance(understood, Schedule) else None
        due = self._due_of(name, schedule, record, now)
        running, queued = live[name, RunStatus.RUNNING], live[name, RunStatus.QUEUED]
        health, why = self._health(name, now, understood, due, running + queued)
        if health == "healthy" and running:
            health = "running"
        elif health == "healthy" and last is None:
            health = "waiting"
        return Standing(name, health, why, schedule, due, queued, running, letters, last, record)

    def _understood(self, row: ScheduleRecord) -> Schedule | str:
        known = self._known.get(row.flow)
        if known is None or known[0] != row:
            known = self._known[row.flow] = row, understand(row, self._registry, self._zone)
        return known[1]

    def _due_of(
        self, name: str, schedule: Schedule | None, record: FlowRecord | None, now: FlowsNow
    ) -> datetime | None:
        """The fire that is planned next; it lies in the past where the flow is late."""
        if schedule is None or not schedule.active or now.paused_all or (record and record.paused):
            return None
        after = record.planned_until if record is not None and record.planned_until else now.now
        known = self._due.get(name)
        if known is None or known[0] is not schedule or known[1] != after:
            known = self._due[name] = schedule, after, schedule.trigger.next_after(after)
        return known[2]

    def _health(
        self, name: str, now: FlowsNow, understood: Schedule | str | None, due: datetime | None, live: int
    ) -> tuple[str, str]:
        record, last = now.records.get(name), now.last.get(name)
        if name not in self._registry:
            return "unregistered", "no flow of this name is in the code"
        if isinstance(understood, str):
            return "refused", understood
        if record is not None and record.refused:
            return "refused", record.refused
        if last is not None and last.status is RunStatus.FAILED:
            return "failing", last.error_msg or last.reason
        if understood is None:
            return "unscheduled", ""
        if not understood.active:
            return "disabled", ""
        if paused := now.paused_all or (record.paused if record is not None else ""):
            return "paused", paused
        if upstream := self._waits_for(name, due, now):
            return "waiting", f"it comes after {upstream!r}, which has not got so far"
        if not live and due is not None and due + understood.row.misfire_grace + LATE < now.now:
            return "late", ""
        return ("gaps" if not live and _behind(record, understood.flow) else "healthy"), ""

    def _waits_for(self, name: str, due: datetime | None, now: FlowsNow) -> str:
        """The flow whose windows this one waits for; empty where it waits for none."""
        upstream = self._registry[name].after
        if upstream is None or due is None or due > now.now:
            return ""
        record = now.records.get(upstream)
        covered = record is not None and record.watermark is not None and record.watermark >= due
        return "" if covered else upstream


def flow_row(
    standing: Standing, flow: Flow | None, detail: FlowsInDetail, now: FlowsNow, zone: str
) -> FlowRow:
    """The line of one flow."""
    state = detail.states.get(standing.name)
    watermark = None if state is None else state.watermark
    return FlowRow(
        standing,
        flow.description if flow is not None else "",
        "" if flow is None else "windows" if flow.stateful else flow.kind,
        strip_of(detail.runs.get(standing.name, ())),
        zone_of(now.rows.get(standing.name), zone),
        None if watermark is None else now.now - watermark,
        0 if state is None else len(state.gaps()),
    )


def chosen(standings: Sequence[Standing], search: str, health: str) -> list[Standing]:
    """Those whose name has all words of the search, in this health; "attention" is every one that needs some."""
    words = search.casefold().split()
    found = [one for one in standings if all(word in one.name.casefold() for word in words)]
    if health == "attention":
        return [one for one in found if needs_attention(one)]
    return [one for one in found if health in ("", one.health)]


def needs_attention(standing: Standing) -> bool:
    """Whether a person should look at the flow."""
    return standing.health in ("refused", "failing", "late", "gaps") or standing.letters > 0


def counts(standings: Sequence[Standing]) -> Mapping[str, int]:
    """How many flows are in each health, the worst first; those that are well last."""
    found = Counter(one.health for one in standings)
    return {health: found[health] for health in (*WORST, "waiting", "healthy") if found[health]}


def attentions(standings: Sequence[Standing], now: FlowsNow) -> Iterator[Attention]:
    """What needs attention: first what concerns all, then flow by flow, the worst first."""
    if now.leader.elected and not now.leader.leads:
        text = "nothing is planned and nothing that waits is started"
        yield Attention("failed", "Nobody leads", text, href="/replicas")
    if now.paused_all:
        yield Attention("gap", "All schedules are paused", "no flow makes new runs by itself")
    for health in ("refused", "failing", "late", "gaps"):
        for one in standings:
            if one.health == health:
                yield Attention(one.tone, health, one.told, one.name)
    for one in standings:
        if one.letters:
            items = "item" if one.letters == 1 else "items"
            text = f"{one.letters:,} {items} failed for good and can be looked at and replayed"
            yield Attention("failed", "dead letters", text, one.name, "/dead-letters")


def _behind(record: FlowRecord | None, flow: Flow) -> bool:
    """Whether windows that were planned are not settled."""
    if record is None or not flow.stateful or record.watermark is None or record.planned_until is None:
        return False
    return record.watermark < record.planned_until
