"""Schedule rows: shown, checked and written, previewed, paused."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypedDict

import orjson
from typing_extensions import Unpack

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.flow_options import RESERVED
from piko_flow.control.flows.json_values import json_values
from piko_flow.control.flows.schedule_rows import Schedule, first_row, understand
from piko_flow.control.flows.system_row import SystemRow, read_system_row
from piko_flow.control.operations.audit import differences
from piko_flow.control.operations.plane_part import PlanePart, missing, refuse, zone_of
from piko_flow.planning.trigger import FireNote, Trigger, explain_fire, next_fires
from piko_flow.planning.trigger_row import trigger_from_row
from piko_flow.store.records import ConfigRecord, ScheduleRecord
from piko_flow.store.seen import Seen, check_seen

FIRES = 10_000  # that one preview shows at most
AT_ONCE = 10  # rows
MOST = 1000  # rows of one page
UNTOLD = ("flow", "version", "updated_at", "last_data_time", "completed_at", "unreadable")
WRITTEN = frozenset({"version"})  # anew with every change, whatever stood there
GOING, PAUSED = {"paused": False}, {"paused": True}


class ScheduleColumns(TypedDict, total=False):
    """What of a row can be set besides its trigger; what is left out stays as it is."""

    timezone: str
    enabled: bool
    misfire_grace: timedelta
    coalesce: bool
    max_instances: int
    jitter: timedelta
    concurrency_group: str
    max_lookback_window: int


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule row and what it means: its trigger, or why it is refused; why it is paused; its next fires.

    `standing` is active, paused, disabled, refused, or unregistered where the code has no such flow.
    """

    row: ScheduleRecord
    standing: str
    zone: str
    trigger: Trigger | None
    refused: str
    paused: str
    active: bool
    next_fires: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """Schedule rows by flow; `after` is what to ask the next page with, None after the last one."""

    schedules: tuple[ScheduleView, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class PreviewedFire:
    """A coming fire; `note` is "shifted" or "doubled" where a change of clocks has to do with it."""

    fire: datetime
    note: FireNote


@dataclass(frozen=True, slots=True)
class Preview:
    """The coming fires of a trigger, whose text is for people, in its zone."""

    trigger: str
    zone: str
    fires: tuple[PreviewedFire, ...]


class PlaneRows(PlanePart):
    """List, set, delete, preview, pause and resume schedules."""

    async def schedules(self, *, fires: int = 1) -> list[ScheduleView]:
        """All schedule rows by flow, each with so many of its next fires."""
        return await self.schedules_of(await self.store.schedules(), fires=fires)

    async def schedule_page(self, *, after: str = "", limit: int = 100, fires: int = 1) -> SchedulePage:
        """The schedule rows of flows whose names come after this one, at most `limit`."""
        if not 1 <= limit <= MOST:
            refuse("list schedules", f"a page has 1 to {MOST} schedules", f"{limit} were asked for")
        known = {row.flow: row for row in await self.store.schedules() if row.flow > after}
        rows = [known[flow] for flow in sorted(known)]
        shown = await self.schedules_of(rows[:limit], fires=fires)
        return SchedulePage(tuple(shown), shown[-1].row.flow if len(rows) > limit else None)

    async def schedule_view(self, flow: str, *, fires: int = 5) -> ScheduleView:
        """The flow's schedule row with its next fires. Refused when there is none."""
        rows = [marked.row for marked in await self.store.marked_schedules([flow])]
        if not rows:
            missing(f"show the schedule of {flow!r}", "there is a row to show", "there is none for this flow")
        return (await self.schedules_of(rows, fires=fires))[0]

    async def schedules_of(self, rows: Sequence[ScheduleRecord], *, fires: int) -> list[ScheduleView]:
        """What these rows mean, in their order. Others have their turn on the loop between rows."""
        now, paused_all = await self.now(), await self.paused_all()
        known = await self.store.flows([row.flow for row in rows])
        paused = {record.flow: record.paused for record in known if record.paused}
        views = []
        for place, row in enumerate(rows):
            if place % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(
                    0
                )  # this is the loop that renews the lease, and a cron may look years ahead
            understood = understand(row, self.registry, self.options.zone)
            why = paused_all or paused.get(row.flow, "")
            views.append(self._view_of(row, understood, now, why, fires))
        return views

    async def set_schedule(
        self,
        flow: str,
        kind: str | None = None,
        expression: str | Mapping[str, Any] | None = None,
        *,
        by: str = "",
        expected: Seen | None = None,
        **columns: Unpack[ScheduleColumns],
    ) -> ScheduleView:
        """Write the flow's row and give it as it is then, checked before it is written.

        `kind` and `expression` are those of a row; without them the trigger stays. A new row has what the flow's
        `schedule=` says, else the columns' defaults. Refused for a flow that is not registered, for whatever
        would make the row refused, and where nothing is given. Of what is `expected` it has the row's version.
        """
        registered, old = self.registered(flow), await self.row(flow)
        check_seen(f"set the schedule of {flow!r}", expected, version=0 if old is None else old.version)
        if not columns and kind is None:
            advice = "Give it a trigger, or something else of the row"
            refuse(f"set the schedule of {flow!r}", "something of it is set", "nothing was given", advice)
        row = self._new_row(registered, old, kind, expression)
        left = tuple(
            one for one in row.unreadable if one[0].removesuffix("_s") not in WRITTEN | columns.keys()
        )
        row = replace(row, is_stateful=registered.stateful, **columns, unreadable=left)
        understood = understand(row, self.registry, self.options.zone)
        if isinstance(understood, str):
            refuse(f"set the schedule of {flow!r}", "only a row that can be used is written", understood)
        if kind is not None and understood.date is not None:
            await self._refuse_past(flow, understood.date, row.misfire_grace)
        written = await self.store.set_schedule(row, seen=expected)
        self.rows_changed()
        was, now = differences(_told(old), _told(written))
        if now:
            await self.changed("schedule.set", f"flow {flow}", before=was if old else None, after=now, by=by)
        understood = understand(written, self.registry, self.options.zone)
        return self._view_of(written, understood, await self.now(), await self._paused(flow), 3)

    async def delete_schedule(self, flow: str, *, by: str = "", expected: Seen | None = None) -> None:
        """Delete the flow's row; what is queued or running goes on, and its windows' ledger stays.

        A flow whose code brings a schedule does not get its row back. Refused when there is no row. Of what is
        `expected` it has the row's version.
        """
        old = await self.row(flow)
        if not await self.store.delete_schedule(flow, seen=expected):
            missing(
                f"delete the schedule of {flow!r}", "there is a row to delete", "there is none for this flow"
            )
        self.rows_changed()
        await self.changed("schedule.delete", f"flow {flow}", before=_told(old), by=by)

    async def preview(
        self,
        flow: str,
        *,
        n: int = 10,
        after: datetime | None = None,
        kind: str | None = None,
        expression: str | Mapping[str, Any] | None = None,
        zone: str | None = None,
    ) -> Preview:
        """The next `n` fires after an instant, or after now: of the flow's row, of what its code brings where it
        has no row, or of another trigger, tried on before it is written."""
        if not 0 < n <= FIRES:
            refuse("preview a schedule", f"it shows 1 to {FIRES} fires", f"{n} were asked for")
        trigger = await self._trigger(flow, kind, expression, zone)
        fires = next_fires(trigger, after=after or await self.now(), n=n)
        noted = tuple(PreviewedFire(fire, explain_fire(trigger, fire)) for fire in fires)
        return Preview(str(trigger), trigger.zone, noted)

    async def pause(self, flow: str, *, by: str = "") -> bool:
        """Make no new runs of the flow's schedule; runs that are queued or running, triggers and backfills go on.

        Fires of a stateless flow that pass meanwhile do not run later; windows of a stateful one do, as its policy
        says. False when it was paused already. Refused for a flow that nobody knows, and for one without a schedule.
        """
        await self._known(flow, "pause")
        registered = self.registry.get(flow)
        if (registered is None or registered.schedule is None) and await self.row(flow) is None:
            advice = "Nothing has to be paused: it runs only when somebody asks"
            refuse(
                f"pause {flow!r}",
                "a flow with a schedule is paused",
                "it has no row, and its code brings none",
                advice,
            )
        done = await self.store.pause(flow, f"paused by {by or self.actor.who}")
        self.rows_changed()
        if done:
            await self.changed("schedule.pause", f"flow {flow}", before=GOING, after=PAUSED, by=by)
        return done

    async def resume(self, flow: str, *, by: str = "") -> bool:
        """Make new runs again. False when it was not paused by itself; see `paused_all` for what pauses everything."""
        await self._known(flow, "resume")
        done = await self.store.pause(flow, "")
        self.rows_changed()
        if done:
            await self.changed("schedule.resume", f"flow {flow}", before=PAUSED, after=GOING, by=by)
        return done

    async def pause_all(self, *, paused: bool = True, by: str = "") -> bool:
        """Pause every schedule, or let go of that; what pauses one flow stays. False when it was so already.

        It is the key `paused` of the row `piko_system_settings`, whose other keys stay. Where nobody can tell what that
        row says of it, all are paused, and either is a change.
        """
        row = await self._system()
        said = _said(row)
        if said.paused is paused:
            return False
        schema = 1 if row is None else row.schema_version
        await self.store.set_config(
            RESERVED,
            orjson.dumps({**said.values, "paused": paused}).decode(),
            schema_version=schema,
            effective_from=None,
        )
        self.rows_changed()
        action, was, now = "pause" if paused else "resume", {"paused": said.paused}, {"paused": paused}
        await self.changed(f"schedule.{action}_all", "all flows", before=was, after=now, by=by)
        return True

    async def paused_all(self) -> str:
        """Why every schedule is paused; empty when it is not so."""
        return _said(await self._system()).why_paused

    async def _refuse_past(self, flow: str, date: datetime, grace: timedelta) -> None:
        """A date that is over by more than its grace would only be recorded as misfired."""
        now = await self.now()
        if date + grace < now:
            got = f"{date.isoformat(' ')} is past, and it is {now.isoformat(' ', timespec='seconds')}"
            refuse(
                f"set the schedule of {flow!r}",
                "a date is to come",
                got,
                f"To run it now: piko-flow trigger {flow}",
            )

    async def _system(self) -> ConfigRecord | None:
        return await self.store.config(RESERVED)

    async def _paused(self, flow: str) -> str:
        found = await self.store.flows([flow])
        return await self.paused_all() or (found[0].paused if found else "")

    async def _known(self, flow: str, what: str) -> None:
        if flow not in self.registry and await self.row(flow) is None:
            missing(f"{what} {flow!r}", "a flow is registered or has a row", self.registry.unknown(flow))

    def _view_of(
        self, row: ScheduleRecord, understood: Schedule | str, now: datetime, paused: str, fires: int
    ) -> ScheduleView:
        """The row as people see it; `understood` is what it means, `paused` why the flow is paused, empty where not."""
        zone = zone_of(row, self.options.zone)
        if isinstance(understood, str):
            standing = "refused" if row.flow in self.registry else "unregistered"
            return ScheduleView(row, standing, zone, None, understood, paused, False, ())
        standing = "disabled" if not understood.active else "paused" if paused else "active"
        coming = next_fires(understood.trigger, after=now, n=fires) if standing == "active" else []
        return ScheduleView(
            row, standing, zone, understood.trigger, "", paused, understood.active, tuple(coming)
        )

    def _new_row(
        self,
        flow: Flow,
        old: ScheduleRecord | None,
        kind: str | None,
        expression: str | Mapping[str, Any] | None,
    ) -> ScheduleRecord:
        options = self.options
        if old is None and flow.schedule is not None:
            old = first_row(flow, grace=options.first_grace, instances=options.first_instances)
        if kind is None:
            if old is None:
                advice = "Give it one: schedule_type and schedule_expr; on the command line --cron, --interval or --date"
                refuse(
                    f"set the schedule of {flow.name!r}",
                    "a new row needs a trigger",
                    "it has no row yet",
                    advice,
                )
            return old
        text = expression if isinstance(expression, str) else orjson.dumps(dict(expression or {})).decode()
        if old is None:
            return ScheduleRecord(
                flow.name,
                kind,
                text,
                misfire_grace=options.first_grace,
                max_instances=options.first_instances,
            )
        mended = ("schedule_type", "schedule_expr")
        left = tuple(one for one in old.unreadable if one[0] not in mended)
        return replace(old, schedule_type=kind, schedule_expr=text, unreadable=left)

    async def _trigger(
        self,
        flow: str,
        kind: str | None,
        expression: str | Mapping[str, Any] | None,
        zone: str | None,
    ) -> Trigger:
        row, registered = await self.row(flow), self.registry.get(flow)
        if kind is not None:
            return trigger_from_row(kind, expression or "", zone=zone or zone_of(row, self.options.zone))
        if row is not None:
            return trigger_from_row(
                row.schedule_type, row.schedule_expr, zone=zone or row.timezone or self.options.zone
            )
        if registered is None or registered.schedule is None:
            got = self.registry.unknown(flow) if registered is None else "its code brings none, it has no row"
            refuse(f"preview the schedule of {flow!r}", "there is a schedule to look at", got)
        return registered.schedule


def _told(row: ScheduleRecord | None) -> dict[str, Any]:
    """What an audit tells of a row: what people set."""
    told: dict[str, Any] = {} if row is None else json_values(row)
    return {name: value for name, value in told.items() if name not in UNTOLD}


def _said(row: ConfigRecord | None) -> SystemRow:
    return read_system_row(None if row is None else row.text)
