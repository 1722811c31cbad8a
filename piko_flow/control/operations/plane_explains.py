"""Gathering the facts from which it is told why something does not run."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from piko_flow.control.flows.schedule_rows import understand
from piko_flow.control.flows.told_times import Times
from piko_flow.control.leader.params_book import ParamsBook
from piko_flow.control.leader.reign import Reign
from piko_flow.control.operations.explained_facts import Facts, Line
from piko_flow.control.operations.explained_flows import explain_flow
from piko_flow.control.operations.explained_runs import explain_run
from piko_flow.control.operations.plane_part import missing
from piko_flow.control.operations.plane_replicas import PlaneReplicas
from piko_flow.control.operations.plane_rows import PlaneRows
from piko_flow.control.params.params import ignored_names
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.zones import find_zone
from piko_flow.store.batch import Term
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import RunRecord

AT_ONCE = 50  # rows
LAST = 20  # runs of a flow, among which one that began is looked for


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the flow, or one run of it, is not running, at the store's time `now`."""

    flow: str
    run: RunRecord | None
    lines: tuple[Line, ...]
    now: datetime


class PlaneExplains(PlaneRows, PlaneReplicas):
    """Tells why, from what the store says at this moment; any process that has the flows' code can ask."""

    async def explain_flow(self, flow: str, *, times: Times | None = None) -> Explanation:
        """Why the flow is not running, what it waits for, when it runs next. Refused for one that nobody knows.

        Instants are told as `times` does; without it in the flow's zone, with their offset.
        """
        facts = await self._facts_of_flow(flow, times)
        known = facts.registered or facts.last is not None or flow in facts.reign.facts
        if not known and flow not in facts.refusals:
            missing(f"explain {flow!r}", "a flow is registered, or has rows", facts.unknown)
        return Explanation(flow, None, tuple(explain_flow(facts)), facts.now)

    async def explain_run(
        self, number: int, *, times: Times | None = None, seen: RunRecord | None = None
    ) -> Explanation:
        """Why the run waits, or ended as it did. Refused when there is none of this number. `times` as above.

        With `seen` it is told of the run as it was then, so that it agrees with what else is told of it.
        """
        run = seen or await self.store.run(number)
        if run is None:
            missing(
                f"explain run {number}", "a run has a number", "there is no such run, or it has been pruned"
            )
        waits = run.status is RunStatus.QUEUED
        facts = await (self._facts if waits else self._few_facts)(run.flow, times)
        return Explanation(run.flow, run, tuple(explain_run(run, facts)), facts.now)

    async def _few_facts(self, flow: str, times: Times | None) -> Facts:
        """What is to be known of a run that waits for nothing: others concern it no more, so they are not read."""
        leader = await self.leader()
        registered, upstream = flow in self.registry, self._upstream(flow)
        return Facts(
            now=leader.now,
            flow=flow,
            registered=registered,
            unknown="" if registered else self.registry.unknown(flow),
            reign=Reign(Term(self.options.lease_name, 0), group_limits={}, flows=self.registry),
            refusals={},
            leader=leader,
            states=await self.store.states([flow, upstream] if upstream else [flow]),
            upstream=upstream,
            times=times or Times(find_zone(await self.zone(flow))),
        )

    async def _facts_of_flow(self, flow: str, times: Times | None) -> Facts:
        """What is to be known of a flow besides what concerns its waiting runs: its parameters and its last run."""
        facts, registered = await self._facts(flow, times), self.registry.get(flow)
        for version in reversed(await self.store.params(flow)):
            facts.reign.params.add(version)
        used = facts.reign.params.in_force(flow, facts.now)
        return replace(
            facts,
            last=(await self.store.last_runs([flow])).get(flow),
            declared=registered is not None and registered.schedule is not None,
            ignored=ignored_names(registered, used.text) if registered and used else "",
        )

    async def _facts(self, flow: str, times: Times | None) -> Facts:
        leader = await self.leader()
        live = await self.store.live()
        registered = self.registry.get(flow)
        upstream = self._upstream(flow)
        names = [flow, upstream] if upstream else [flow]
        reign, refusals = await self._reign(live, {*names, *(run.flow for run in live)})
        return Facts(
            now=leader.now,
            flow=flow,
            registered=registered is not None,
            unknown="" if registered is not None else self.registry.unknown(flow),
            reign=reign,
            refusals=refusals,
            leader=leader,
            states=await self.store.states(names),
            upstream=upstream,
            ran=None if registered is not None else await self._ran(flow),
            coded=bool(self.registry),
            times=times or Times(find_zone(await self.zone(flow))),
        )

    def _upstream(self, flow: str) -> str:
        """The flow that it comes after; empty where there is none."""
        registered = self.registry.get(flow)
        return (registered.after or "") if registered is not None else ""

    async def _ran(self, flow: str) -> RunRecord | None:
        """The newest of the flow's last runs that began somewhere."""
        found = await self.store.runs(RunFilter(flow=flow, limit=LAST))
        return next((run for run in found if run.host), None)

    async def _reign(
        self, live: Sequence[RunRecord], concerned: Collection[str]
    ) -> tuple[Reign, dict[str, str]]:
        """What a leader would know now of the flows that are concerned, and why their rows are refused."""
        term = Term(self.options.lease_name, 0)
        reign = Reign(term, group_limits=self.options.group_limits, flows=self.registry)
        reign.params = ParamsBook()
        reign.paused_all = await self.paused_all()
        refusals: dict[str, str] = {}
        reign.facts = {record.flow: record for record in await self.store.flows(concerned)}
        for place, row in enumerate([one.row for one in await self.store.marked_schedules(concerned)]):
            if place % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)  # thousands of rows are read on the loop that renews the lease
            understood = understand(row, self.registry, self.options.zone)
            if isinstance(understood, str):
                refusals[row.flow] = understood
                continue
            reign.follow(understood)
            if row.flow in reign.facts and reign.facts[row.flow].refused:
                refusals[row.flow] = reign.facts[row.flow].refused
        for backfill in await self.store.backfills(open_only=True):
            reign.backfills[backfill.id] = backfill
        for run in live:
            reign.add(run)
        return reign, refusals
