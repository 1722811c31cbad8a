"""Runs that a person or a program asks for."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from piko_flow.control.leader.new_runs import instant_key
from piko_flow.control.leader.params_book import ParamsBook
from piko_flow.control.operations.plane_params import audited_values, shown_params
from piko_flow.control.operations.plane_part import PlanePart, missing, refuse
from piko_flow.control.params.exact_numbers import json_text
from piko_flow.control.params.masked_input import values_of, without_kept
from piko_flow.control.params.params import check_names, check_params
from piko_flow.dataflow.workers.trace_parent import trace_parent
from piko_flow.errors import RequestRefused
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.requests import check_retry, check_trigger, why_not_retried
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.batch import Decided, Decision
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import NewRun, ParamsVersion, RunRecord
from piko_flow.store.seen import Seen, check_seen
from piko_flow.store.texts import NAMES, NOT_STORABLE, storable

RETRIED = frozenset({RunStatus.FAILED, RunStatus.CANCELLED})
PREFIX = "trigger:"


@dataclass(frozen=True, slots=True)
class TriggerPlan:
    """What a trigger would do: the flow, its window, and the checked parameters that the run would have.

    `shown` are the parameters as plain values, secrets hidden. `earlier` is the run that the key has made already: then there is nothing to do.
    """

    flow: str
    window: Window | None
    params: Any
    shown: dict[str, Any]
    run: NewRun
    earlier: RunRecord | None = None


class PlaneTriggers(PlanePart):
    """Trigger and retry."""

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
        first one is given again, whatever has become of it.
        """
        planned = await self._plan(flow, params, window, key, by)
        if planned.earlier is not None:
            return planned.earlier
        wanted = await self._decision(planned, window) if self.registered(flow).stateful else planned.run
        try:
            made = await self.queue(wanted)
        except RequestRefused:
            # Another trigger of the same key may have come first, and its run is what the window is taken by.
            made = await self._earlier(flow, key)
            if made is None:
                raise
        else:
            if made is not None:
                await self._triggered(planned, made, by)
        if made is None:
            made = await self._earlier(flow, key)
        assert made is not None  # no run was made because one of this key is there
        return made

    async def _triggered(self, planned: TriggerPlan, made: RunRecord, by: str) -> None:
        given = audited_values(self.registry.get(made.flow), planned.run.params, self.options.redact)
        after = {"flow": made.flow, "window": made.window, "params": given}
        await self.changed("run.trigger", f"run {made.id}", after=after, by=by)

    async def plan_trigger(
        self,
        flow: str,
        *,
        params: Mapping[str, Any] | None = None,
        window: Window | None = None,
        key: str = "",
        by: str = "",
    ) -> TriggerPlan:
        """What `trigger` would do now, without doing it; refused where `trigger` would be."""
        planned = await self._plan(flow, params, window, key, by)
        if planned.earlier is not None or not self.registered(flow).stateful:
            return planned
        schedule = await self.schedule(flow)
        state = (await self.store.states([flow]))[flow]
        chosen = check_trigger(state, schedule.trigger, window, await self.now())
        return replace(planned, window=chosen, run=replace(planned.run, window=chosen))

    async def retry(self, run: int, *, by: str = "", expected: Seen | None = None) -> RunRecord:
        """Queue a failed or cancelled run again, as its next attempt. Refused once its window is settled or live.

        Of what is `expected` it has status and attempt.
        """
        found = await self.store.run(run)
        if found is None:
            missing(f"retry run {run}", "a run has a number", "there is no such run, or it has been pruned")
        check_seen(f"retry run {run}", expected, status=found.status, attempt=found.attempt)
        if found.status not in RETRIED:
            rule = "a run that ended FAILED or CANCELLED is tried again"
            refuse(f"retry run {run}", rule, f"it is {found.status}")

        def decide(state: FlowState, _now: datetime) -> Decided:
            if found.window is not None:
                check_retry(state, found.window)
            return Decided(Change(state), reopen=run, seen=expected)

        made = await self.queue(Decision(found.flow, decide))
        assert made is not None
        was, now = ({"flow": one.flow, "status": one.status, "attempt": one.attempt} for one in (found, made))
        await self.changed("run.retry", f"run {run}", before=was, after=now, by=by)
        return made

    async def why_not_retried(self, run: RunRecord) -> str:
        """Why a run that has failed or was cancelled cannot be tried again now; empty where it can."""
        if run.status not in RETRIED:
            return f"it is {run.status}"
        if run.window is None:
            return ""
        state = (await self.store.states([run.flow]))[run.flow]
        return why_not_retried(state, run.window)

    async def in_force(self, flow: str, now: datetime) -> ParamsVersion | None:
        """The version of the flow's parameters that a run queued now gets; None where the model's defaults hold."""
        return ParamsBook(await self.store.params(flow)).in_force(flow, now)

    async def _plan(
        self, name: str, params: Mapping[str, Any] | None, window: Window | None, key: str, by: str
    ) -> TriggerPlan:
        flow = self.registered(name)
        if window is not None and not flow.stateful:
            refuse(f"trigger {name!r}", "only a stateful flow takes a window", f"it came with {window}")
        if len(PREFIX + key) > NAMES["key"]:
            most = NAMES["key"] - len(PREFIX)
            refuse(f"trigger {name!r}", f"a key has at most {most} characters", f"it has {len(key)}")
        if not storable(key):
            refuse(f"trigger {name!r}", f"of its key, {NOT_STORABLE}", f"got {key!r}")
        check_names(flow, params or {})
        now = await self.now()
        version = await self.in_force(name, now)
        params = without_kept(flow, params or {}, values_of(version))
        overrides = json_text(params) if params else None
        checked = check_params(flow, version.text if version is not None else None, overrides)
        run = NewRun(
            flow=name,
            scheduled_time=now,
            key=PREFIX + (key or f"{instant_key(now)}-{secrets.token_hex(4)}"),  # two at one instant are two
            origin="trigger",
            window=window,
            params_version=version.id if version is not None else None,
            params=overrides,
            config_version=version.version if version is not None else None,
            requested_by=by or self.actor.who,
            trace=trace_parent.get(),
        )
        shown = shown_params(flow, checked)
        return TriggerPlan(name, window, checked, shown, run, await self._earlier(name, key))

    async def _earlier(self, flow: str, key: str) -> RunRecord | None:
        """The run that a trigger of this key has made."""
        if not key:
            return None
        found = await self.store.runs(RunFilter(flow=flow, key=f"{PREFIX}{key}", limit=1))
        return found[0] if found else None

    async def _decision(self, planned: TriggerPlan, window: Window | None) -> Decision:
        schedule = await self.schedule(planned.flow)

        def decide(state: FlowState, now: datetime) -> Decided:
            chosen = check_trigger(state, schedule.trigger, window, now)
            run = replace(planned.run, window=chosen, generation=state.generation)
            return Decided(Change(state, (chosen,)), (run,))

        return Decision(planned.flow, decide)
