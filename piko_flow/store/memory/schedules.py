"""Rows that people edit, and what was made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from piko_flow.planning.flow_state import FlowState
from piko_flow.store.applying import flow_record
from piko_flow.store.fitting import check_json_object, fitting_params, fitting_schedule, moment
from piko_flow.store.memory.part import MemoryPart
from piko_flow.store.protocols import Digest
from piko_flow.store.records import ConfigRecord, FlowRecord, MarkedSchedule, ParamsVersion, ScheduleRecord
from piko_flow.store.seen import Seen, check_seen
from piko_flow.store.texts import check, cut


class MemorySchedules(MemoryPart):
    """ScheduleStore in memory; see the protocol for what is promised."""

    def edit(self, row: ScheduleRecord | ConfigRecord) -> None:
        """Make the row read exactly so, as a person with a SQL client does: also its version, also what is wrong."""
        if isinstance(row, ScheduleRecord):
            self._rows.schedules[row.flow] = row
        else:
            self._rows.configs[row.flow] = row

    def delete_config(self, flow: str) -> None:
        """Delete the flow's config row, as a person with a SQL client does; it has to be there."""
        del self._rows.configs[flow]

    async def digest(self) -> Digest:
        """A fingerprint of all schedule and config rows."""
        now, rows = self._ask(), self._rows
        schedules = (self._content(row) for _, row in sorted(rows.schedules.items()))
        configs = (repr(row) for _, row in sorted(rows.configs.items()))
        return Digest(now, _hashed(schedules), _hashed(configs))

    def _content(self, row: ScheduleRecord) -> str:
        """The row as text, made once for each state of it: a poll of unchanged rows is to be cheap."""
        rows = self._rows
        written = rows.states[row.flow].written if row.flow in rows.states else None
        shown = None if row.last_data_time == written else row.last_data_time
        kept = rows.contents.get(row.flow)
        if kept is None or kept[0] is not row or kept[1] != shown:
            kept = row, shown, repr(replace(row, last_data_time=shown, updated_at=None))
            rows.contents[row.flow] = kept
        return f"{kept[2]}{rows.paused.get(row.flow, '')}"

    async def schedule_marks(self) -> dict[str, str]:
        """For each flow that has a schedule row its content, with the flow's pause."""
        self._ask()
        return {flow: self._content(row) for flow, row in sorted(self._rows.schedules.items())}

    async def marked_schedules(self, flows: Collection[str]) -> list[MarkedSchedule]:
        """The rows of these flows with their marks, by flow."""
        self._ask()
        rows = self._rows
        found = [rows.schedules[flow] for flow in sorted(flows) if flow in rows.schedules]
        return [MarkedSchedule(row, rows.paused.get(row.flow, ""), self._content(row)) for row in found]

    async def schedules(self) -> list[ScheduleRecord]:
        """All schedule rows, by flow."""
        self._ask()
        return [row for _, row in sorted(self._rows.schedules.items())]

    async def configs(self) -> list[ConfigRecord]:
        """All config rows, by flow."""
        self._ask()
        return [row for _, row in sorted(self._rows.configs.items())]

    async def config(self, flow: str) -> ConfigRecord | None:
        """The flow's config row; None where it has none."""
        self._ask()
        return self._rows.configs.get(flow)

    async def flows(self, names: Collection[str] | None = None) -> list[FlowRecord]:
        """What is stored of flows besides their rows, of those of these names or of all, by flow."""
        self._ask()
        rows = self._rows
        known = rows.states.keys() | rows.paused.keys() | rows.refused.keys()
        return [
            flow_record(
                rows.states.get(flow) or FlowState(flow),
                paused=rows.paused.get(flow, ""),
                refused=rows.refused.get(flow, ""),
            )
            for flow in sorted(known if names is None else known & set(names))
        ]

    async def add_schedules(self, records: Sequence[ScheduleRecord]) -> list[str]:
        """Insert rows for flows that have none; gives the flows whose row was made."""
        now, made = self._ask(), list[str]()
        for record in [fitting_schedule(record) for record in records]:
            if record.flow not in self._rows.schedules:
                self._rows.schedules[record.flow] = replace(record, updated_at=now)
                made.append(record.flow)
        return made

    async def set_schedule(self, record: ScheduleRecord, *, seen: Seen | None = None) -> ScheduleRecord:
        """Insert or replace a row; `version` grows by one, `last_data_time` of an existing row stays."""
        now, record = self._ask(), fitting_schedule(record)
        old = self._rows.schedules.get(record.flow)
        check_seen(f"set the schedule of {record.flow!r}", seen, version=0 if old is None else old.version)
        if old is not None:
            record = replace(record, version=old.version + 1, last_data_time=old.last_data_time)
        else:
            record = replace(record, version=1)
        self._rows.schedules[record.flow] = record = replace(record, updated_at=now)
        return record

    async def delete_schedule(self, flow: str, *, seen: Seen | None = None) -> bool:
        """Delete the row; False when there is none. What is known of the flow's windows stays."""
        self._ask()
        old = self._rows.schedules.get(flow)
        check_seen(f"delete the schedule of {flow!r}", seen, version=0 if old is None else old.version)
        self._rows.contents.pop(flow, None)
        return self._rows.schedules.pop(flow, None) is not None

    async def set_config(
        self,
        flow: str,
        text: str,
        *,
        schema_version: int,
        effective_from: datetime | None,
        seen: Seen | None = None,
    ) -> ConfigRecord:
        """Insert or replace a row; `version` grows by one. Raises ValueError when the text is no JSON object."""
        self._ask()
        old = self._rows.configs.get(check("flow", flow))
        version = 1 if old is None else old.version + 1
        check_seen(f"set the parameters of {flow!r}", seen, version=version - 1)
        effective = moment(effective_from, "effective_from")
        record = ConfigRecord(flow, check_json_object(text), schema_version, effective, version)
        self._rows.configs[flow] = record
        return record

    async def keep_params(self, versions: Sequence[ParamsVersion]) -> list[ParamsVersion]:
        """Store versions of parameters that were seen, with their ids; the flow's newest one is not kept twice."""
        now, kept = self._ask(), list[ParamsVersion]()
        for version in [fitting_params(version) for version in versions]:
            known = self._rows.params[version.flow]
            if not known or replace(version, id=known[-1].id, seen_at=known[-1].seen_at) != known[-1]:
                known.append(replace(version, id=self._rows.next_id("params"), seen_at=now))
            kept.append(known[-1])
        return kept

    async def params(self, flow: str | None = None, *, limit: int = 100) -> list[ParamsVersion]:
        """The versions of one flow, newest first; or of every flow all that can be in force now or later."""
        now, params = self._ask(), self._rows.params
        if flow is not None:
            return params[flow][: -limit - 1 : -1] if flow in params else []
        return [version for _, known in sorted(params.items()) for version in _in_force(known, now)]

    async def refused_params(self, flows: Collection[str] | None = None) -> dict[str, str]:
        """Why the newest version is not used, of those of these flows, or of all, of which it is not."""
        self._ask()
        known = self._rows.params
        wanted = sorted(known if flows is None else known.keys() & set(flows))
        newest = {flow: known[flow][-1].refused for flow in wanted if known[flow]}
        return {flow: refused for flow, refused in newest.items() if refused}

    async def params_version(self, version: int) -> ParamsVersion | None:
        """The version of this id."""
        self._ask()
        known = (one for versions in self._rows.params.values() for one in versions if one.id == version)
        return next(known, None)

    async def prune_params(self, *, before: datetime, keep: int, limit: int) -> int:
        """Delete old versions that can be in force no more, to which nothing is pinned, but for the newest `keep`."""
        now, rows = self._ask(), self._rows
        gone: set[int] = set()
        for flow, known in rows.params.items():
            usable = {version.id for version in _in_force(known, now)} | self._pinned_versions(flow)
            old = (one for one in known[:-keep] if one.seen_at is not None and one.seen_at < before)
            gone |= set([one.id for one in old if one.id not in usable][: limit - len(gone)])
            known[:] = [one for one in known if one.id not in gone]
        return len(gone)

    def _pinned_versions(self, flow: str) -> set[int | None]:
        rows = self._rows
        letters = {letter.params_version for letter in rows.letters.values() if letter.flow == flow}
        return letters | {rows.runs[run].params_version for run in rows.of_flow.get(flow, {})}

    async def note_refusals(self, refused: Mapping[str, str]) -> None:
        """Store why these flows' schedule rows are not used; an empty text clears it."""
        self._ask()
        for flow, reason in refused.items():
            if reason:
                self._rows.refused[check("flow", flow)] = cut("refused", reason)
            else:
                self._rows.refused.pop(flow, None)

    async def pause(self, flow: str, reason: str) -> bool:
        """Pause the flow's schedule; an empty reason resumes it. False when it was so already."""
        self._ask()
        if bool(reason) == (flow in self._rows.paused):
            return False
        if reason:
            self._rows.paused[check("flow", flow)] = cut("paused", reason)
        else:
            del self._rows.paused[flow]
        return True

    async def complete(self, flow: str, run_date: datetime) -> None:
        """Note in the row that its date has been dealt with."""
        self._ask()
        row = self._rows.schedules.get(flow)
        if row is not None:
            self._rows.schedules[flow] = replace(row, completed_at=moment(run_date, "run_date"))


def _in_force(known: list[ParamsVersion], now: datetime) -> list[ParamsVersion]:
    """The good versions that are in force now or will be, newest first."""
    found: list[ParamsVersion] = []
    for version in reversed(known):
        if version.refused:
            continue
        found.append(version)
        if version.effective_from is None or version.effective_from <= now:
            break
    return found


def _hashed(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()
