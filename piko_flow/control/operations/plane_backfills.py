"""Backfills: planned, shown, applied, and watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import blake2b
from itertools import starmap
from typing import Any

from piko_flow.control.operations.plane_params import audited_values, shown_params
from piko_flow.control.operations.plane_part import missing, refuse, zone_of
from piko_flow.control.operations.plane_triggers import PlaneTriggers
from piko_flow.control.params.exact_numbers import json_text
from piko_flow.control.params.masked_input import values_of, without_kept
from piko_flow.control.params.params import check_names, check_params
from piko_flow.counting import counted
from piko_flow.planning.backfill import parts_at_edges, plan_backfill, plan_digest
from piko_flow.planning.run_state import LIVE, RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import BackfillRecord, RunRecord
from piko_flow.store.seen import Seen

MEASURED = 50  # runs from which the time of the next ones is guessed
STOPPED = 1000  # running runs that a cancel stops
MOST_AT_ONCE = 10_000
UNDONE = (*LIVE, RunStatus.FAILED, RunStatus.CANCELLED)  # where its run is so, a window needs something more
DURATION = timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class BackfillRequest:
    """What a backfill is asked to do: see BackfillRecord for `kind` and the order.

    `params` go over those in force, for each of its runs.
    """

    flow: str
    span: Window
    kind: str = "missing"
    newest_first: bool = False
    concurrency: int = 1
    params: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class WindowPart:
    """A part of a window, and the whole."""

    part: Window
    whole: Window


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """What a backfill would do: its windows in the order they would run, and the parameters of its runs as plain
    values, secrets hidden.

    `estimate` is a guess from the flow's last runs, None where none has succeeded yet. `digest` names the plan:
    another request, other windows and other parameters have another one. `parts` are the windows that an edge of the
    request's span has cut, each with the whole one of today's schedule.
    """

    request: BackfillRequest
    windows: tuple[Window, ...]
    params: dict[str, Any]
    estimate: timedelta | None
    digest: str
    zone: str
    parts: tuple[WindowPart, ...] = ()


@dataclass(frozen=True, slots=True)
class BackfillView:
    """A backfill and how far it is.

    `counts` is how many of its runs are in each state. A window that was settled when its turn came has no run.
    """

    backfill: BackfillRecord
    counts: Mapping[RunStatus, int]
    zone: str

    @property
    def left(self) -> int:
        """Windows whose turn has not come yet."""
        return len(self.backfill.windows) - self.backfill.position

    @property
    def done(self) -> float:
        """The share of its windows that need nothing more, from 0 to 1; one whose run failed or was cancelled does."""
        open_ = sum(self.counts.get(status, 0) for status in UNDONE)
        whole = len(self.backfill.windows)
        return max(self.backfill.position - open_, 0) / whole if whole else 1.0

    @property
    def failed(self) -> int:
        """How many of its runs failed, and were not retried with better luck."""
        return self.counts.get(RunStatus.FAILED, 0)

    @property
    def outcome(self) -> str:
        """The backfill's state; "failed" where it has ended by itself, and runs of it failed."""
        return "failed" if self.backfill.state == "done" and self.failed else self.backfill.state

    @property
    def told(self) -> str:
        """The outcome in words."""
        return f"ended, {self.failed:,} failed" if self.outcome == "failed" else self.outcome


class PlaneBackfills(PlaneTriggers):
    """Plan, apply, list, pause, resume, cancel."""

    async def plan_backfill(self, request: BackfillRequest) -> BackfillPlan:
        """What the backfill would do now. Refused for a flow without windows, and where there is nothing to do."""
        flow, what = self.registered(request.flow), f"plan a backfill of {request.flow!r}"
        if not flow.stateful:
            refuse(what, "only a stateful flow has windows", f"{request.flow!r} is registered without state")
        if not 1 <= request.concurrency <= MOST_AT_ONCE:
            got = f"{request.concurrency} were asked for"
            refuse(what, f"1 to {MOST_AT_ONCE} of its runs go at once", got)
        schedule, now = await self.schedule(request.flow), await self.now()
        version = await self.in_force(request.flow, now)
        check_names(flow, request.params or {})
        request = replace(request, params=without_kept(flow, request.params or {}, values_of(version)))
        given = given_text(request)
        checked = check_params(flow, version.text if version is not None else None, given)
        state = (await self.store.states([request.flow]))[request.flow]
        windows = plan_backfill(
            state,
            schedule.trigger,
            kind=request.kind,
            span=request.span,
            now=now,
            newest_first=request.newest_first,
        )
        if not windows:
            advice = "The kinds are gap, missing, failed and all; windows that have not ended never count"
            refuse(
                what,
                f"its range holds windows of the kind {request.kind}",
                f"{request.span} has none",
                advice,
            )
        pinned = str(version.id) if version is not None else ""
        named = (plan_digest(windows), request.kind, str(request.concurrency), given or "", pinned)
        digest = blake2b("\0".join(named).encode(), digest_size=6).hexdigest()
        estimate = await self._estimate(request, len(windows))
        params = shown_params(flow, checked)
        edges = (windows[0], windows[-1]) if len(windows) > 1 else windows
        parts = starmap(WindowPart, parts_at_edges(edges, schedule.trigger, request.span))
        zone = await self.zone(request.flow)
        return BackfillPlan(request, windows, params, estimate, digest, zone, tuple(parts))

    async def apply_backfill(self, request: BackfillRequest, *, digest: str, by: str = "") -> BackfillRecord:
        """Begin the backfill whose plan has this digest. Refused where the plan has become another one."""
        plan = await self.plan_backfill(request)
        if plan.digest != digest:
            refuse(
                f"apply a backfill of {request.flow!r}",
                "it does what was planned",
                f"the plan is now {plan.digest}, with {counted(len(plan.windows), 'window')}, and not {digest}",
                "Look at its plan again",
            )
        record = BackfillRecord(
            id=0,
            flow=request.flow,
            kind=request.kind,
            start=request.span.start,
            end=request.span.end,
            windows=plan.windows,
            newest_first=request.newest_first,
            concurrency=request.concurrency,
            params=given_text(plan.request),
            requested_by=by or self.actor.who,
        )
        made = await self.store.add_backfill(record)
        self.rows_changed()
        given = audited_values(self.registry.get(made.flow), made.params, self.options.redact)
        await self.changed("backfill.apply", f"backfill {made.id}", after=_told(made, given), by=by)
        return made

    async def backfills(
        self, *, flow: str | None = None, open_only: bool = False, limit: int = 20
    ) -> list[BackfillView]:
        """Backfills with their progress, the newest first, at most `limit`."""
        if not 1 <= limit <= 1000:
            refuse("list backfills", "a list has 1 to 1000 of them", f"{limit} were asked for")
        found = (await self.store.backfills(flow=flow, open_only=open_only))[::-1][:limit]
        rows = {row.flow: row for row in await self.store.schedules()}
        views = []
        for one in found:
            zone = zone_of(rows.get(one.flow), self.options.zone)
            views.append(BackfillView(one, await self.store.backfill_counts(one.id), zone))
        return views

    async def backfill(self, number: int) -> BackfillView:
        """One backfill with its progress. Refused when there is none of this number."""
        found = next((one for one in await self.store.backfills() if one.id == number), None)
        if found is None:
            missing(f"show backfill {number}", "a backfill has a number", "there is no such backfill")
        return BackfillView(found, await self.store.backfill_counts(number), await self.zone(found.flow))

    async def pause_backfill(
        self, number: int, *, by: str = "", expected: Seen | None = None
    ) -> BackfillRecord:
        """Queue no more of its windows, and start none that is queued; runs go on. Refused when it has ended."""
        return await self._set(number, "pause", "paused", by, expected, unless=("done", "cancelled"))

    async def resume_backfill(
        self, number: int, *, by: str = "", expected: Seen | None = None
    ) -> BackfillRecord:
        """Go on with a paused one. Refused when it has ended."""
        return await self._set(number, "resume", "running", by, expected, unless=("done", "cancelled"))

    async def cancel_backfill(
        self, number: int, *, by: str = "", expected: Seen | None = None
    ) -> BackfillRecord:
        """End it: its queued runs are CANCELLED, its running ones asked to stop. What is done stays done."""
        record = await self._set(number, "cancel", "cancelled", by, expected, unless=("done",))
        running = RunFilter(backfill=number, statuses={RunStatus.RUNNING}, limit=STOPPED)
        for run in await self.store.runs(running):
            await self.store.cancel(run.id, by=by or self.actor.who)
            if self.replica is not None:
                await self.replica.cancel_here(run.id)
        return record

    async def _set(
        self, number: int, verb: str, state: str, by: str, expected: Seen | None, *, unless: Sequence[str]
    ) -> BackfillRecord:
        known = next((one for one in await self.store.backfills() if one.id == number), None)
        if known is None:
            missing(f"{verb} backfill {number}", "a backfill has a number", "there is no such backfill")
        record = await self.store.set_backfill(number, state=state, unless=unless, seen=expected)
        if record is None:
            rule = "only one that has not ended is changed"
            refuse(f"{verb} backfill {number}", rule, f"it is {known.state}")
        self.rows_changed()
        if record.state != known.state:
            was, now = ({"flow": one.flow, "state": one.state} for one in (known, record))
            await self.changed(f"backfill.{verb}", f"backfill {number}", before=was, after=now, by=by)
        return record

    async def _estimate(self, request: BackfillRequest, windows: int) -> timedelta | None:
        """How long so many windows take at this concurrency, by the middle one of the flow's last durations."""
        which = RunFilter(flow=request.flow, statuses={RunStatus.SUCCESS}, limit=MEASURED)
        took = sorted(map(_duration, await self.store.runs(which)))
        if not took:
            return None
        rounds = -(-windows // request.concurrency)
        return took[len(took) // 2] * rounds


def given_text(request: BackfillRequest) -> str | None:
    """The request's own parameters as JSON, in one way of writing."""
    if not request.params:
        return None
    return json_text(dict(request.params), sort_keys=True)


def _duration(run: RunRecord) -> timedelta:
    if run.duration_ms is not None:
        return run.duration_ms * DURATION
    return (run.end_time - run.start_time) if run.end_time and run.start_time else timedelta(0)


def _told(made: BackfillRecord, given: Mapping[str, Any]) -> dict[str, Any]:
    """What an audit tells of a new backfill."""
    return {
        "flow": made.flow,
        "kind": made.kind,
        "span": Window(made.start, made.end),
        "windows": len(made.windows),
        "newest_first": made.newest_first,
        "concurrency": made.concurrency,
        "params": given,
    }
