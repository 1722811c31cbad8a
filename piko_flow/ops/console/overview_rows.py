"""How each flow stands, and what needs attention: pure functions of what was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import quote

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.flow_health import ATTENTION, MEANINGS, Health, Judge, Known, due_after, grouped
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.schedule_rows import Schedule, understand
from piko_flow.control.flows.system_row import ALL_PAUSED
from piko_flow.control.operations.plane_overview import FlowsInDetail, FlowsNow
from piko_flow.control.operations.plane_part import zone_of
from piko_flow.ops.console.flow_address import flow_address
from piko_flow.ops.console.sentences import MARKED
from piko_flow.ops.console.strip import Strip, strip_of
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.records import RunRecord, ScheduleRecord

TONES = {
    "refused": "failed",
    "params refused": "failed",
    "failing": "failed",
    "late": "gap",
    "held up": "gap",
    "gaps": "gap",
    "dead letters": "failed",
    "running": "running",
    "paused": "waiting",
    "disabled": "waiting",
    "unregistered": "waiting",
    "unscheduled": "none",
    "waiting": "waiting",
    "healthy": "success",
}
"""For each health its colour."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a flow stands, with what the overview shows of it besides."""

    name: str
    judged: Health
    schedule: Schedule | None
    due: datetime | None
    queued: int
    running: int
    letters: int
    last: RunRecord | None

    @property
    def health(self) -> str:
        """The word for how it stands."""
        return self.judged.word

    @property
    def tone(self) -> str:
        """The colour of its health."""
        return TONES[self.judged.word]

    @property
    def told(self) -> str:
        """Why, else what its health means."""
        return self.judged.told


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A line of the overview: the standing, the last runs, how far behind its data is and how many gaps it has."""

    standing: Standing
    description: str
    kind: str
    strip: Strip
    zone: str
    lag: timedelta | None
    gaps: int


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that a person should look at: the flow it is about, and where to go with what the link says."""

    tone: str
    what: str
    text: str
    flow: str = ""
    href: str = ""
    link: str = "Look"


class Standings:
    """Judges how flows stand. Remembers what rows mean, one for each flow, until they change."""

    def __init__(self, registry: Registry[Flow], zone: str) -> None:
        self._registry, self._zone = registry, zone
        self._known: dict[str, tuple[ScheduleRecord, Schedule | str]] = {}
        self._due: dict[str, tuple[Schedule, datetime, datetime | None]] = {}

    def of(self, now: FlowsNow) -> list[Standing]:
        """The standing of every flow, by name; instants in its reasons are marked."""
        self._known = {name: found for name, found in self._known.items() if name in now.rows}
        self._due = {name: found for name, found in self._due.items() if name in now.rows}
        live = grouped(now.live)
        known = {name: self._known_of(name, now, live.get(name, ())) for name in now.names}
        judge = Judge(known, now=now.now, paused_all=now.paused_all, times=lambda name: MARKED)
        return [_standing(name, one, judge.health(name)) for name, one in known.items()]

    def _known_of(self, name: str, now: FlowsNow, live: tuple[RunRecord, ...]) -> Known:
        row, record = now.rows.get(name), now.records.get(name)
        understood = None if row is None else self._understood(row)
        known = Known(
            flow=self._registry.get(name),
            understood=understood,
            record=record,
            last=now.last.get(name),
            live=live,
            letters=now.letters.get(name, 0),
            params_refused=now.params_refused.get(name, ""),
        )
        return replace(known, due=self._due_of(name, known, now))

    def _understood(self, row: ScheduleRecord) -> Schedule | str:
        known = self._known.get(row.flow)
        if known is None or known[0] != row:
            known = self._known[row.flow] = row, understand(row, self._registry, self._zone)
        return known[1]

    def _due_of(self, name: str, known: Known, now: FlowsNow) -> datetime | None:
        """The fire that is planned next, which a cron may have to look for years ahead."""
        schedule, after = known.schedule, due_after(known, now.now, now.paused_all)
        if schedule is None or after is None:
            return None
        kept = self._due.get(name)
        if kept is None or kept[0] is not schedule or kept[1] != after:
            kept = self._due[name] = schedule, after, schedule.trigger.next_after(after)
        return kept[2]


def _standing(name: str, known: Known, judged: Health) -> Standing:
    counts = Counter(run.status for run in known.live)
    return Standing(
        name,
        judged,
        known.schedule,
        known.due,
        counts[RunStatus.QUEUED],
        counts[RunStatus.RUNNING],
        known.letters,
        known.last,
    )


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
    return bool(standing.judged.concerns)


def counts(standings: Sequence[Standing]) -> Mapping[str, int]:
    """How many flows are in each health, the worst first; those that are well last."""
    found = Counter(one.health for one in standings)
    return {health: found[health] for health in MEANINGS if found[health]}


def attentions(standings: Sequence[Standing], now: FlowsNow) -> Iterator[Attention]:
    """What needs attention: first what concerns all, then flow by flow, the worst first."""
    if now.leader.elected and not now.leader.leads:
        text = "nothing is planned and nothing that waits is started"
        yield Attention("failed", "Nobody leads", text, href="/replicas")
    if now.paused_all:
        why = now.paused_all.removeprefix(ALL_PAUSED)
        yield Attention("gap", "All schedules are paused", f"no flow makes new runs by itself{why}")
    for name, failing in sorted(now.failing_spools.items()):
        text = f"what was accepted waits on the disk of the replica that you look at: {failing}"
        yield Attention("failed", f"spool {name} fails", text, link="")
    for word in ATTENTION:
        for one in standings:
            for finding in one.judged.concerns:
                if finding.word == word:
                    href, link = _where(one, word)
                    yield Attention(TONES[word], word, finding.why, one.name, href, link)


def _where(standing: Standing, word: str) -> tuple[str, str]:
    """Where a person goes with a concern, and what the link says; the flow's own page is linked anyway."""
    page = flow_address(standing.name)
    if word == "dead letters":
        return f"/dead-letters?flow={quote(standing.name, safe='')}", "Look at them"
    if word == "gaps":
        return f"{page}/backfill?what=gap", "Close the gap"
    if word == "held up":
        return flow_address(standing.judged.upstream), f"To {standing.judged.upstream}"
    if word == "refused":
        return f"{page}#schedule", "Edit the schedule"
    if word == "params refused":
        return f"{page}#params", "Mend the parameters"
    if word == "failing" and standing.last is not None:
        return f"/runs/{standing.last.id}", f"Run {standing.last.id}"
    return f"{page}#why", "Why"
