"""Rows that people edit take effect while everything runs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.schedule_rows import Flows, Schedule, first_row, understand, unreadable
from piko_flow.control.flows.system_row import read_system_row
from piko_flow.control.leader.params_book import ParamsBook
from piko_flow.control.leader.reign import Reign
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.params.params import refusal_of
from piko_flow.planning.date import Date
from piko_flow.store.batch import PlannedFires
from piko_flow.store.protocols import ScheduleStore
from piko_flow.store.records import ConfigRecord, FlowRecord, ParamsVersion, ScheduleRecord
from piko_flow.store.texts import fits, readable

SYSTEM = "piko_system_settings"
"""The `job_config` row whose JSON sets `poll_interval_s` and `paused` of the running application."""
STEP = 200  # rows between two turns of the loop
INSTANT = timedelta(microseconds=1)
UNREAD = ""  # the mark of a row that is to be read whatever it says

log = logging.getLogger("piko_flow.reconciler")


@dataclass(slots=True)
class Seen:
    """The rows as they were read last."""

    marks: dict[str, str] = field(default_factory=dict)
    configs: dict[str, ConfigRecord] = field(default_factory=dict)
    schedules_digest: str = ""
    configs_digest: str = ""


class Reconciler:
    """Compares the rows with what is in force, by content, and puts every difference in force.

    Belongs to one reign. A row that cannot be used is refused with its reason, which is stored where people
    see it; everything else goes on.
    """

    def __init__(
        self,
        *,
        reign: Reign,
        store: ScheduleStore,
        flows: Flows,
        registered: Iterable[Flow],
        options: ReplicaOptions,
    ) -> None:
        self._reign, self._store, self._flows, self._options = reign, store, flows, options
        self._registered = list(registered)
        self._seen = Seen()
        self._polled: datetime | None = None  # when the rows were looked at last
        self.poll_interval: float | None = None
        """Seconds that the system row asks for; None where it does not."""

    async def begin(self) -> None:
        """Write the rows of flows that bring a schedule and have never been seen; then the first poll."""
        known = {record.flow: record for record in await self._store.flows()}
        self._reign.facts.update(known)
        self._reign.params = ParamsBook(await self._store.params())
        grace, instances = self._options.first_grace, self._options.first_instances
        rows = [
            first_row(flow, grace=grace, instances=instances)
            for flow in self._registered
            if flow.schedule is not None and flow.name not in known
        ]
        if rows:
            await self._store.add_schedules(rows)
        await self.poll()

    async def poll(self) -> bool:
        """One query when nothing has changed. Gives whether something had."""
        digest = await self._store.digest()
        changed = False
        if digest.configs != self._seen.configs_digest:
            await self._read_configs()
            self._seen.configs_digest = digest.configs
            changed = True
        if digest.schedules != self._seen.schedules_digest:
            moving = await self._read_schedules(digest.now)
            moving = moving or UNREAD in self._seen.marks.values()  # paused by this leader meanwhile
            self._seen.schedules_digest = "" if moving else digest.schedules
            changed = True
        self._polled = digest.now
        if changed:
            self._reign.admission.limits_changed()
        return changed

    def paused(self, flow: str, why: str) -> None:
        """This leader has paused the flow in the store: in force at once, and its row is read with the next poll."""
        self._reign.pause(flow, why)
        if flow in self._seen.marks:
            self._seen.marks[flow] = UNREAD
        self._seen.schedules_digest = ""

    async def _read_schedules(self, now: datetime) -> bool:
        """Look which rows have changed, and read those alone, a few at a time: others wait for this loop.

        Gives whether a row changed while they were read: it may have changed back since, so that the digest
        would not tell.
        """
        marks, before = await self._store.schedule_marks(), self._seen.marks
        for flow in before.keys() - marks.keys():
            self._gone(flow, now)
        refused = {
            flow: "" for flow, facts in self._reign.facts.items() if facts.refused and flow not in marks
        }
        changed = [flow for flow, mark in marks.items() if before.get(flow) != mark]
        for flow in before.keys() - marks.keys():
            del before[flow]
        moving = False
        for start in range(0, len(changed), STEP):
            for one in await self._store.marked_schedules(changed[start : start + STEP]):
                self._reign.note(one.row.flow, paused=one.paused)
                self._changed(replace(one.row, updated_at=None), one.row.updated_at, now, refused)
                before[one.row.flow] = one.mark
                moving = moving or one.mark != marks[one.row.flow]
        await self._note(refused)
        return moving

    def _changed(
        self, row: ScheduleRecord, written: datetime | None, now: datetime, refused: dict[str, str]
    ) -> None:
        understood = understand(row, self._flows, self._options.zone)
        if isinstance(understood, str):
            self._gone(row.flow, now)
            refused[row.flow] = understood
            return
        refused[row.flow] = ""
        self._reign.follow(understood)
        if understood.flow.stateful:
            if self._reign.follows(row.flow):
                self._reign.backlog.add(row.flow)
            self._reign.expect(row.flow, now)
        else:
            self._follow_fires(understood, written, now)

    def _follow_fires(self, schedule: Schedule, written: datetime | None, now: datetime) -> None:
        """A stateless flow goes on from its last fire; with another schedule from when that was written."""
        flow, identity = schedule.flow.name, schedule.identity
        facts = self._reign.facts.get(flow, FlowRecord(flow))
        if not self._reign.follows(flow):
            self._stop(flow, now)
        elif facts.planned_until is None or facts.schedule != identity:
            begin = self._begin(facts, written, now)
            if isinstance(schedule.trigger, Date):
                begin = min(begin, schedule.trigger.run_date - INSTANT)
            self._start(flow, begin, identity)
        self._reign.expect(flow, self._reign.facts[flow].planned_until or now)

    def _begin(self, facts: FlowRecord, written: datetime | None, now: datetime) -> datetime:
        """From when another schedule, or one after a pause, has fires: a fire between an edit and this poll is due.

        A tool that leaves `updated_at` as it was is believed to have written the row just now.
        """
        seen = self._polled or facts.planned_until
        begin = written if written is not None and seen is not None and seen < written < now else now
        return max(begin - INSTANT, facts.planned_until or begin - INSTANT)

    def _start(self, flow: str, begin: datetime, identity: str) -> None:
        self._reign.starts.append(PlannedFires(flow, begin, identity))
        self._reign.note(flow, planned_until=begin, schedule=identity)

    def _stop(self, flow: str, now: datetime) -> None:
        """Fires from now on are not missed: when it is followed again, it begins at that moment."""
        facts = self._reign.facts.get(flow)
        if facts is None or facts.schedule:
            self._start(flow, now, "")

    def _gone(self, flow: str, now: datetime) -> None:
        schedule = self._reign.schedules.get(flow)
        if schedule is not None and not schedule.flow.stateful:
            self._stop(flow, now)
        self._reign.forget(flow)

    async def _note(self, refused: Mapping[str, str]) -> None:
        """Store the reasons that are new or have gone, and log the new ones once."""
        facts, unknown = self._reign.facts, FlowRecord("")
        fresh = {flow: text for flow, text in refused.items() if facts.get(flow, unknown).refused != text}
        # A name that no database keeps is no flow's; that its row is refused is in the log alone.
        if kept := {flow: text for flow, text in fresh.items() if fits("flow", flow)}:
            await self._store.note_refusals(kept)
        for flow, reason in fresh.items():
            self._reign.note(flow, refused=reason)
            if reason:
                log.warning("the schedule row of %r is refused: %s", flow, reason)

    async def _read_configs(self) -> None:
        rows = {row.flow: row for row in await self._store.configs()}
        changed = [row for flow, row in rows.items() if self._seen.configs.get(flow) != row]
        if self._seen.configs.get(SYSTEM) != rows.get(SYSTEM):
            self._system(rows.get(SYSTEM))
        versions = [
            version for row in changed if row.flow != SYSTEM and (version := self._version(row)) is not None
        ]
        for flow in self._reign.params.told():
            if flow not in rows:  # also one that was deleted while nobody led
                log.info("the params row of %r has been deleted: the defaults hold", flow)
                versions.append(ParamsVersion(flow, "", version=0))
        for version in await self._store.keep_params(versions) if versions else ():
            self._reign.params.add(version)
        self._seen.configs = rows

    def _version(self, row: ConfigRecord) -> ParamsVersion | None:
        flow = self._flows.get(row.flow)
        if flow is None:
            log.warning("the params row of %r is not used: no flow of that name is registered", row.flow)
            return None
        refused = unreadable(row) or refusal_of(flow, row.text, row.schema_version)
        if refused:
            log.warning("the params row of %r is refused: %s", row.flow, refused)
        text = readable(row.text)
        return ParamsVersion(row.flow, text, row.schema_version, row.effective_from, row.version, refused)

    def _system(self, row: ConfigRecord | None) -> None:
        """The row for the application itself; what it does not say, or says wrongly, is as the settings have it, but a
        pause that nobody can read pauses all."""
        said = read_system_row(None if row is None else row.text)
        for told in said.refused:
            log.warning("the row %s is not used: %s", SYSTEM, told)
        self.poll_interval = said.poll_interval
        if said.why_paused != self._reign.paused_all:
            self._reign.paused_all = said.why_paused
            self._seen.marks = {}
            self._seen.schedules_digest = ""  # every schedule is looked at again
