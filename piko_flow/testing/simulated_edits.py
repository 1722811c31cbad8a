"""People in a simulated world: they edit rows, cancel, retry and ask for runs, at times that the seed draws."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.errors import RequestRefused
from piko_flow.planning.backfill import plan_backfill
from piko_flow.planning.trigger import last_fire
from piko_flow.planning.window import Window
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import BackfillRecord, ScheduleRecord

EVERY = 900.0  # seconds between two deeds, on the average


class Person:
    """Does something now and then; what is refused is refused. `edited` has the flows whose schedule was touched."""

    def __init__(self, world: Any) -> None:
        self._world, self._draws = world, world.draws
        self.edited: set[str] = set()
        self._deleted: dict[str, ScheduleRecord] = {}
        self._plane = ControlPlane(
            store=world.store, registry=world.registry, options=world.options, clock=world.clock
        )
        self._next = world.clock.now() + self._pause()
        self._deeds = (
            self._switch, self._slower, self._delete, self._set_back, self._set_forward, self._cancel,
            self._cancel, self._retry, self._trigger, self._trigger, self._backfill, self._pause_flow,
        )  # fmt: skip

    def _pause(self) -> timedelta:
        return timedelta(seconds=self._draws.expovariate(1 / EVERY))

    async def act(self) -> None:
        """Do what is due."""
        while self._next <= self._world.clock.now() and not self._world.calm:
            self._next = self._world.clock.now() + self._pause()
            deed = self._draws.choice(self._deeds)
            try:
                done = await deed()
            except RequestRefused as error:
                done = f"was refused: {error}"
            if done:
                self._world.journal.note(f"a person {done}")

    async def put_in_order(self) -> None:
        """Bring back the rows of deleted schedules, switch everything on, and resume what is paused."""
        rows = {row.flow: row for row in await self._world.store.schedules()}
        for row in (self._deleted | rows).values():
            if not row.enabled or row.flow not in rows:
                await self._world.store.set_schedule(replace(row, enabled=True))
        for record in await self._world.store.flows():
            if record.paused:
                self.edited.add(record.flow)
                await self._world.store.pause(record.flow, "")

    async def _row(self) -> ScheduleRecord | None:
        rows = await self._world.store.schedules()
        return self._draws.choice(rows) if rows else None

    async def _windowed(self) -> ScheduleRecord | None:
        rows = [row for row in await self._world.store.schedules() if row.is_stateful]
        return self._draws.choice(rows) if rows else None

    async def _switch(self) -> str:
        row = await self._row()
        if row is None:
            return ""
        self.edited.add(row.flow)
        await self._world.store.set_schedule(replace(row, enabled=not row.enabled))
        return f"set enabled of {row.flow} to {not row.enabled}"

    async def _slower(self) -> str:
        row = await self._row()
        if row is None:
            return ""
        self.edited.add(row.flow)
        minutes = self._draws.choice((5, 8, 11))
        await self._world.store.set_schedule(
            replace(row, schedule_type="interval", schedule_expr=f'{{"minutes": {minutes}}}')
        )
        return f"lets {row.flow} fire every {minutes} minutes"

    async def _delete(self) -> str:
        row = await self._row()
        if row is None:
            return ""
        self.edited.add(row.flow)
        self._deleted[row.flow] = row
        await self._world.store.delete_schedule(row.flow)
        return f"deleted the schedule of {row.flow}"

    async def _set_back(self) -> str:
        return await self._set(-1)

    async def _set_forward(self) -> str:
        return await self._set(1)

    async def _set(self, direction: int) -> str:
        row = await self._windowed()
        if row is None or row.last_data_time is None:
            return ""
        moved = row.last_data_time + direction * timedelta(minutes=self._draws.choice((5, 20, 45)))
        self._world.store.edit(replace(row, last_data_time=moved))
        return f"set last_data_time of {row.flow} to {moved}"

    async def _cancel(self) -> str:
        live = await self._world.store.live()
        if not live:
            return ""
        run = self._draws.choice(live)
        await self._plane.cancel(run.id, by="a person")
        if run.window is not None:
            self._world.journal.given_up.setdefault(run.flow, set()).add(run.window)
        return f"cancelled run {run.id} of {run.flow}"

    async def _retry(self) -> str:
        ended = [run for run in await self._world.store.runs(RunFilter(limit=50)) if run.status == "FAILED"]
        if not ended:
            return ""
        run = self._draws.choice(ended)
        await self._plane.retry(run.id, by="a person")
        return f"retried run {run.id} of {run.flow}"

    async def _trigger(self) -> str:
        flow = self._draws.choice(list(self._world.registry))
        run = await self._plane.trigger(flow, by="a person")
        return f"triggered {flow}: run {run.id}"

    async def _pause_flow(self) -> str:
        row = await self._row()
        if row is None:
            return ""
        self.edited.add(row.flow)
        paused = {record.flow for record in await self._world.store.flows() if record.paused}
        await self._world.store.pause(row.flow, "" if row.flow in paused else "a person wants it so")
        return f"paused or resumed {row.flow}"

    async def _backfill(self) -> str:
        row = await self._windowed()
        if row is None:
            return ""
        schedule = await self._plane.schedule(row.flow)
        now = self._world.clock.now()
        end = last_fire(schedule.trigger, at=now) or now
        span = Window(end - timedelta(hours=self._draws.choice((1, 2))), end)
        kind = self._draws.choice(("missing", "failed", "all"))
        state = (await self._world.store.states([row.flow]))[row.flow]
        windows = plan_backfill(state, schedule.trigger, kind=kind, span=span, now=now)
        if not windows:
            return ""
        record = BackfillRecord(0, row.flow, kind, span.start, span.end, windows, concurrency=2)
        added = await self._world.store.add_backfill(record)
        return f"asked for backfill {added.id} of {row.flow}: {len(windows)} windows, {kind}"
