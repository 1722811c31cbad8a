"""Flows as people look at them: where each stands, when it runs next, what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from piko_flow.control.flow import Flow
from piko_flow.control.plane_part import missing, refuse
from piko_flow.control.plane_rows import PlaneRows, ScheduleView
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.records import RunRecord

MOST = 1000  # flows of one page


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowView:
    """A flow and where it stands.

    `flow` is None for a name that only the rows know. `standing` is active, paused, disabled, refused,
    unregistered or unscheduled; `why` tells more where it is not active. `queued` and `running` count live runs.
    `watermark`, `gaps` and `failed` are of stateful flows: settled up to, missing stretches, failed ones.
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
        seen = await self.schedules_of([rows[name] for name in shown if name in rows], fires=fires)
        return FlowPage(await self._views(shown, seen), shown[-1] if len(names) > len(shown) else None)

    async def flow(self, name: str, *, fires: int = 5) -> FlowView:
        """One flow with its next fires. Refused when neither the code nor a row knows it."""
        rows = [marked.row for marked in await self.store.marked_schedules([name])]
        if name not in self.registry and not rows:
            missing(f"show flow {name!r}", "a flow is registered or has a row", self.registry.unknown(name))
        return (await self._views([name], await self.schedules_of(rows, fires=fires)))[0]

    async def _views(self, names: Sequence[str], seen: Sequence[ScheduleView]) -> tuple[FlowView, ...]:
        views = {view.row.flow: view for view in seen}
        flows = {name: self.registry.get(name) for name in names}
        states = await self.store.states([name for name, flow in flows.items() if flow and flow.stateful])
        live = Counter((run.flow, run.status) for run in await self.store.live())
        last = await self.store.last_runs(names)
        refused = {record.flow: record.refused for record in await self.store.flows(names) if record.refused}
        return tuple(
            self._flow_view(
                name,
                flows[name],
                views.get(name),
                states.get(name),
                live,
                last.get(name),
                refused.get(name, ""),
            )
            for name in names
        )

    def _flow_view(
        self,
        name: str,
        flow: Flow | None,
        view: ScheduleView | None,
        state: FlowState | None,
        live: Counter[tuple[str, RunStatus]],
        last: RunRecord | None,
        refused: str,
    ) -> FlowView:
        standing, why = _standing(flow, view, refused)
        return FlowView(
            name=name,
            flow=flow,
            standing=standing,
            why=why,
            schedule=view,
            queued=live[name, RunStatus.QUEUED],
            running=live[name, RunStatus.RUNNING],
            last=last,
            zone=view.zone if view is not None else self.options.zone,
            watermark=state.watermark if state is not None else None,
            gaps=state.gaps() if state is not None else (),
            failed=_failed(state) if state is not None else (),
        )


def _standing(flow: Flow | None, view: ScheduleView | None, refused: str) -> tuple[str, str]:
    """Where the flow stands, in one word, and why."""
    if flow is None:
        return "unregistered", "no flow of this name is in the code"
    if view is None:
        comes = "its row is written when a replica leads" if flow.schedule is not None else "it has no row"
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
