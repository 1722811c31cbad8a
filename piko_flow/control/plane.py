"""What people and programs ask of the control half: the one place behind commands and endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import orjson

from piko_flow.clock import Clock
from piko_flow.control.flow import Flow
from piko_flow.control.new_runs import instant_key
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.params import check_params
from piko_flow.control.params_book import ParamsBook
from piko_flow.control.registry import Registry
from piko_flow.control.schedule_rows import Schedule, understand
from piko_flow.errors import RequestRefused
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.requests import check_retry, check_trigger
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.batch import Batch, Decided, Decision
from piko_flow.store.protocols import Store
from piko_flow.store.records import NewRun, RunRecord

RETRIED = frozenset({RunStatus.FAILED, RunStatus.CANCELLED})


class Asks(Protocol):
    """The replica in whose process the plane is, if there is one: what it can do faster than through the store."""

    async def queue(self, wanted: NewRun | Decision, /) -> tuple[bool, RunRecord | None]:
        """Queue at once if this replica leads; (False, None) if it does not."""

    def look_at_rows(self) -> None: ...
    async def cancel_here(self, run: int, /) -> None: ...


@dataclass(frozen=True, slots=True)
class TriggerPlan:
    """What a trigger would do: the flow, its window, and the parameters that the run would have."""

    flow: str
    window: Window | None
    params: Any
    run: NewRun


class ControlPlane:
    """Operations over a store; the replica of this process, where there is one, is told of what it should see.

    Every method raises RequestRefused with one message where a rule is broken, and StoreUnavailable.
    """

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry[Flow],
        options: ReplicaOptions,
        clock: Clock,
        replica: Asks | None = None,
    ) -> None:
        self.store, self.registry, self.options, self.clock = store, registry, options, clock
        self.replica = replica

    async def trigger(
        self,
        flow: str,
        *,
        params: Mapping[str, Any] | None = None,
        window: Window | None = None,
        key: str = "",
        by: str = "",
    ) -> RunRecord:
        """Queue a run now. A stateful flow takes the window named, else its oldest gap.

        `params` go over those in force. With `key` a second trigger of the same key makes no second run: the
        first one is given again.
        """
        planned = await self._plan(flow, params, window, key, by)
        wanted = planned.run if not self._flow(flow).stateful else await self._decision(planned, window)
        made = await self._queue(wanted)
        if made is not None:
            return made
        earlier = [run for run in await self.store.live() if (run.flow, run.key) == (flow, planned.run.key)]
        if not earlier:
            raise RequestRefused(
                what=f"trigger {flow!r}",
                rule="a key makes one run",
                came=f"the run of key {key!r} has ended",
                advice="Use another key for another run",
            )
        return earlier[0]

    async def plan_trigger(
        self,
        flow: str,
        *,
        params: Mapping[str, Any] | None = None,
        window: Window | None = None,
        by: str = "",
    ) -> TriggerPlan:
        """What `trigger` would do now, without doing it; refused where `trigger` would be."""
        planned = await self._plan(flow, params, window, "", by)
        if not self._flow(flow).stateful:
            return planned
        schedule = await self.schedule(flow)
        state = (await self.store.states([flow]))[flow]
        chosen = check_trigger(state, schedule.trigger, window, await self.now())
        return replace(planned, window=chosen, run=replace(planned.run, window=chosen))

    async def cancel(self, run: int, *, by: str = "") -> RunRecord:
        """End a queued run, stop a running one; gives it as it is then. Its window stays a gap."""
        found = await self.store.cancel(run, by=by or "somebody")
        if found is None:
            raise RequestRefused(
                what=f"cancel run {run}", rule="a run has a number", came="there is no such run"
            )
        if found.status not in (RunStatus.RUNNING, RunStatus.CANCELLED):
            raise RequestRefused(
                what=f"cancel run {run}",
                rule="only a run that has not ended is cancelled",
                came=f"it is {found.status}",
            )
        if self.replica is not None:
            await self.replica.cancel_here(run)
        return found

    async def retry(self, run: int, *, by: str = "") -> RunRecord:
        """Queue a failed or cancelled run again, as its next attempt. Refused once its window is settled or live."""
        found = await self.store.run(run)
        if found is None or found.status not in RETRIED:
            came = "there is no such run" if found is None else f"it is {found.status}"
            raise RequestRefused(
                what=f"retry run {run}", rule="a run that ended FAILED or CANCELLED is tried again", came=came
            )

        def decide(state: FlowState, now: datetime) -> Decided:
            if found.window is not None:
                check_retry(state, found.window)
            return Decided(Change(state), reopen=run)

        made = await self._queue(Decision(found.flow, decide))
        assert made is not None
        return made

    async def now(self) -> datetime:
        """The store's time."""
        return (await self.store.digest()).now

    async def schedule(self, flow: str) -> Schedule:
        """The flow's schedule as its row says. Refused when it has none, or one that cannot be used."""
        rows = {row.flow: row for row in await self.store.schedules()}
        row = rows.get(flow)
        if row is None:
            raise RequestRefused(
                what=f"look up the schedule of {flow!r}",
                rule="a stateful flow needs a schedule, which cuts its windows",
                came="there is no row for it in scheduled_job",
                advice=f"Make one: piko-flow schedule set {flow} --cron '0 * * * *'",
            )
        understood = understand(row, self.registry, self.options.zone)
        if isinstance(understood, str):
            raise RequestRefused(
                what=f"look up the schedule of {flow!r}", rule="its row must be usable", came=understood
            )
        return understood

    def _flow(self, name: str) -> Flow:
        flow = self.registry.get(name)
        if flow is None:
            raise RequestRefused(
                what=f"find flow {name!r}",
                rule="a flow is registered in code",
                came=self.registry.unknown(name),
            )
        return flow

    async def _plan(
        self, name: str, params: Mapping[str, Any] | None, window: Window | None, key: str, by: str
    ) -> TriggerPlan:
        flow = self._flow(name)
        if window is not None and not flow.stateful:
            raise RequestRefused(
                what=f"trigger {name!r}",
                rule="only a stateful flow takes a window",
                came=f"the window {window}",
            )
        now = await self.now()
        version = ParamsBook(await self.store.params(name)).in_force(name, now)
        overrides = orjson.dumps(dict(params)).decode() if params else None
        checked = check_params(flow, version.text if version is not None else None, overrides)
        run = NewRun(
            flow=name,
            scheduled_time=now,
            key=f"trigger:{key or instant_key(now)}",
            origin="trigger",
            window=window,
            params_version=version.id if version is not None else None,
            params=overrides,
            config_version=version.version if version is not None else None,
            requested_by=by,
        )
        return TriggerPlan(name, window, checked, run)

    async def _decision(self, planned: TriggerPlan, window: Window | None) -> Decision:
        schedule = await self.schedule(planned.flow)

        def decide(state: FlowState, now: datetime) -> Decided:
            chosen = check_trigger(state, schedule.trigger, window, now)
            run = replace(planned.run, window=chosen, generation=state.generation)
            return Decided(Change(state, (chosen,)), (run,))

        return Decision(planned.flow, decide)

    async def _queue(self, wanted: NewRun | Decision) -> RunRecord | None:
        """Through the leader in this process, else straight into the store, where the leader finds it."""
        if self.replica is not None:
            done, made = await self.replica.queue(wanted)
            if done:
                return made
        if isinstance(wanted, NewRun):
            return (await self.store.write(Batch("", queue=[wanted]))).queued[0]
        decided = (await self.store.write(Batch("", decisions=[wanted]))).decided[0]
        if isinstance(decided, Exception):
            raise decided
        return decided[1][-1] if decided[1] else None
