"""Flows as people look at them: where each stands, when it runs next, where it has gaps."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from piko_flow.control.flows.code_elsewhere import not_here
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.flow_health import Finding, Health, Judge, Known, due_of, grouped
from piko_flow.control.flows.schedule_rows import understand
from piko_flow.control.flows.told_times import Times
from piko_flow.control.operations.plane_part import missing, refuse, zone_of
from piko_flow.control.operations.plane_rows import AT_ONCE, PlaneRows, ScheduleView
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.planning.zones import find_zone
from piko_flow.store.records import RunRecord, ScheduleRecord

MOST = 1000  # flows of one page


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowView:
    """A flow and where it stands.

    `flow` is None for a name that only the rows know. `standing` is active, paused, disabled, refused,
    unregistered or unscheduled; `why` tells more where it is not active. `queued` and `running` count live runs.
    `watermark`, `gaps` and `failed` are of stateful flows: settled up to, what was planned and is neither settled
    nor worked on, what of it failed. `health` is how it stands in one word, with `health_why`; `concerns` is what of it
    a person should look at. `letters` counts its open dead letters.
    """

    name: str
    flow: Flow | None
    standing: str
    why: str
    schedule: ScheduleView | None
    queued: int
    running: int
    last: RunRecord | None
    zone: str
    watermark: datetime | None = None
    gaps: tuple[Window, ...] = ()
    failed: tuple[Window, ...] = ()
    health: str = "healthy"
    health_why: str = ""
    concerns: tuple[Finding, ...] = ()
    letters: int = 0


@dataclass(frozen=True, slots=True)
class FlowPage:
    """Flows by name; `after` is what to ask the next page with, None after the last one."""

    flows: tuple[FlowView, ...]
    after: str | None


class PlaneFlows(PlaneRows):
    """List and show flows."""

    async def flows(self, *, after: str = "", limit: int = 100, fires: int = 1) -> FlowPage:
        """The flows of the code and of the rows whose names come after this one, at most `limit`."""
        if not 1 <= limit <= MOST:
            refuse("list flows", f"a page has 1 to {MOST} flows", f"{limit} were asked for")
        rows = {row.flow: row for row in await self.store.schedules()}
        names = sorted(name for name in {*self.registry, *rows} if name > after)
        shown = names[:limit]
        views = await self._views(shown, rows, fires)
        return FlowPage(views, shown[-1] if len(names) > len(shown) else None)

    async def flow(self, name: str, *, fires: int = 5) -> FlowView:
        """One flow with its next fires. Refused when neither the code nor a row knows it."""
        names = [name, *self.upstreams([name])]
        rows = {marked.row.flow: marked.row for marked in await self.store.marked_schedules(names)}
        if name not in self.registry and name not in rows:
            missing(f"show flow {name!r}", "a flow is registered or has a row", self.registry.unknown(name))
        return (await self._views([name], rows, fires))[0]

    async def _views(
        self, names: Sequence[str], rows: Mapping[str, ScheduleRecord], fires: int
    ) -> tuple[FlowView, ...]:
        now, paused_all = await self.now(), await self.paused_all()
        known = await self.known_flows([*names, *self.upstreams(names)], rows, now, paused_all)
        judge = Judge(known, now=now, paused_all=paused_all, times=lambda name: self._times(rows.get(name)))
        found = []
        for place, name in enumerate(names):
            if place % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)  # this is the loop that renews the lease
            view, one = None, known[name]
            if one.understood is not None:
                paused = paused_all or (one.record.paused if one.record is not None else "")
                view = self._view_of(rows[name], one.understood, now, paused, fires)
            found.append(self._flow_view(name, one, view, judge.health(name)))
        return tuple(found)

    def upstreams(self, names: Sequence[str]) -> list[str]:
        """The flows that these come after, and those that they come after, without these."""
        known, found = set(names), list[str]()
        for name in names:
            flow = self.registry.get(name)
            while flow is not None and flow.after is not None and flow.after not in known:
                known.add(flow.after)
                found.append(flow.after)
                flow = self.registry.get(flow.after)
        return found

    async def known_flows(
        self,
        names: Sequence[str],
        rows: Mapping[str, ScheduleRecord],
        now: datetime,
        paused_all: str,
        *,
        last: Mapping[str, RunRecord] | None = None,
    ) -> dict[str, Known]:
        """What is known of these flows; some statements, whatever their number. `last` are their newest runs, if known."""
        flows = {name: self.registry.get(name) for name in names}
        live = grouped(await self.store.live())
        records = {record.flow: record for record in await self.store.flows(names)}
        states = await self.store.states([name for name, flow in flows.items() if flow and flow.stateful])
        letters, refused = await self.store.open_letters(names), await self.store.refused_params(names)
        last = await self.store.last_runs(names) if last is None else last
        found = {}
        for place, (name, flow) in enumerate(flows.items()):
            if place % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)  # this is the loop that renews the lease
            row = rows.get(name)
            known = Known(
                flow=flow,
                understood=None if row is None else understand(row, self.registry, self.options.zone),
                record=records.get(name),
                last=last.get(name),
                live=live.get(name, ()),
                letters=letters.get(name, 0),
                state=states.get(name),
                params_refused=refused.get(name, ""),
            )
            found[name] = replace(known, due=due_of(known, now, paused_all))
        return found

    def _times(self, row: ScheduleRecord | None) -> Times:
        return Times(find_zone(zone_of(row, self.options.zone)))

    def _flow_view(self, name: str, known: Known, view: ScheduleView | None, health: Health) -> FlowView:
        state, counts = known.state, Counter(run.status for run in known.live)
        standing, why = _standing(known, view)
        return FlowView(
            name=name,
            flow=known.flow,
            standing=standing,
            why=why,
            schedule=view,
            queued=counts[RunStatus.QUEUED],
            running=counts[RunStatus.RUNNING],
            last=known.last,
            zone=view.zone if view is not None else self.options.zone,
            watermark=state.watermark if state is not None else None,
            gaps=state.gaps() if state is not None else (),
            failed=_failed(state) if state is not None else (),
            health=health.word,
            health_why=health.told,
            concerns=health.concerns,
            letters=known.letters,
        )


def _standing(known: Known, view: ScheduleView | None) -> tuple[str, str]:
    """Where the flow stands, in one word, and why."""
    refused = known.record.refused if known.record is not None else ""
    if known.flow is None:
        return "unregistered", not_here(known.last)
    if view is None:
        comes = (
            "its row is written when a replica leads" if known.flow.schedule is not None else "it has no row"
        )
        return "unscheduled", comes
    if view.refused or refused:
        return "refused", view.refused or refused
    if not view.active:
        return (
            "disabled",
            "its row is not enabled" if not view.row.enabled else "its date has been dealt with",
        )
    return ("paused", view.paused) if view.paused else ("active", "")


def _failed(state: FlowState) -> tuple[Window, ...]:
    spans = state.ledger.spans
    if not spans:
        return ()
    return state.ledger.marked(Window(spans[0].start, spans[-1].end), (Mark.FAILED,))
