"""Runs, attempts, and what runs have prepared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime

from piko_flow.errors import TermOutdated
from piko_flow.planning.run_state import LIVE, Reason, RunStatus
from piko_flow.store.applying import claimed, given_up, is_outdated, may_end
from piko_flow.store.batch import Batch, Written
from piko_flow.store.fitting import fitting_batch, fitting_replica, moment, tell_misfits
from piko_flow.store.memory.leases import MemoryLeases, is_due
from piko_flow.store.memory.rows import Prepared
from piko_flow.store.memory.staging import EndingTransaction
from piko_flow.store.memory.writing import Writing
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import AttemptRecord, ReplicaRecord, RunRecord
from piko_flow.store.seen import Seen, check_seen
from piko_flow.store.texts import check, check_free, cut

TOLD_ABOUT = frozenset({RunStatus.SUCCESS, RunStatus.FAILED})


class MemoryRuns(MemoryLeases):
    """RunStore in memory; see the protocol for what is promised."""

    async def write(self, batch: Batch) -> Written:
        """Write everything in the batch in one transaction.

        What endings do `within` comes first, because it may wait: whether their claims hold is looked at again
        after it.
        """
        batch, misfits = fitting_batch(batch)
        self._refuse_old_term(batch)
        for ending in batch.endings:
            run = self._rows.runs.get(ending.run)
            if ending.within is not None and run is not None and may_end(run, batch, ending.claim):
                await ending.within(EndingTransaction(self._rows, ending.run))
        now = self._ask()
        with self._rows.transaction():
            self._refuse_old_term(batch)
            return tell_misfits(Writing(self._rows, batch, now).apply(), misfits)

    def _refuse_old_term(self, batch: Batch) -> None:
        if batch.term is not None and is_outdated(batch, self._rows.leases.get(batch.term.lease)):
            raise TermOutdated(lease=batch.term.lease, term=batch.term.number)

    async def claim(
        self, replica: ReplicaRecord, *, limit: int, known: Callable[[str], bool]
    ) -> list[RunRecord]:
        """Take up to `limit` admitted runs that are due, oldest first, of flows that this replica knows."""
        now, replica, taken = self._ask(), fitting_replica(replica), list[RunRecord]()
        with self._rows.transaction():
            for run in self._rows.sorted_runs(self._rows.admitted):
                if len(taken) >= limit:
                    break
                if is_due(run, now) and known(run.flow):
                    taken.append(claimed(run, replica, now))
                    self._rows.put_run(taken[-1])
        return taken

    async def holds(self, run: int, claim: int) -> bool:
        """Whether the run is running under this claim."""
        self._ask()
        return self._held(run, claim)

    async def live(self) -> list[RunRecord]:
        """All queued and running runs, oldest first."""
        self._ask()
        return self._rows.sorted_runs(self._rows.queued | self._rows.running)

    async def lost(self) -> list[RunRecord]:
        """The running runs whose replica counts as dead."""
        return self._lost(self._ask())

    async def cancel(self, run: int, *, by: str, seen: Seen | None = None) -> RunRecord | None:
        """End a queued run as CANCELLED, ask for the end of a running one; gives the run as it is then."""
        now, record = self._ask(), self._rows.runs.get(run)
        if record is not None:
            check_seen(f"cancel run {run}", seen, status=record.status, attempt=record.attempt)
        if record is None or record.status not in LIVE or await self.decision(run) is not None:
            return record
        if not record.cancel_requested:
            record = replace(record, cancel_requested=cut("cancel_requested", by))
        if record.status is RunStatus.QUEUED:
            record = given_up(record, RunStatus.CANCELLED, Reason.CANCELLED, now)
        with self._rows.transaction():
            self._rows.put_run(record)
        return record

    async def cancels(self, replica: str) -> list[RunRecord]:
        """This replica's running runs that somebody wants cancelled."""
        self._ask()
        running = self._rows.sorted_runs(self._rows.running)
        return [run for run in running if run.replica == replica and run.cancel_requested]

    async def run(self, run: int) -> RunRecord | None:
        """The run of this id."""
        self._ask()
        return self._rows.runs.get(run)

    async def runs(self, which: RunFilter) -> list[RunRecord]:
        """The runs that match, newest first."""
        self._ask()
        found: list[RunRecord] = []
        for number in self._newest_first(which):
            if len(found) >= which.limit:
                break
            run = self._rows.runs[number]
            if (
                (which.before is None or number < which.before)
                and (not which.statuses or run.status in which.statuses)
                and (which.backfill is None or run.backfill == which.backfill)
                and (which.window is None or run.window == which.window)
            ):
                found.append(run)
        return found

    def _newest_first(self, which: RunFilter) -> Iterator[int]:
        rows = self._rows
        if which.key is not None:
            known = rows.keys.get((which.flow or "", which.key))
            return iter(() if known is None else (known,))
        return reversed(rows.runs) if which.flow is None else reversed(rows.of_flow.get(which.flow, {}))

    async def last_runs(self, flows: Collection[str]) -> dict[str, RunRecord]:
        """The newest run of each of these flows; one that never ran is left out."""
        self._ask()
        ids = {flow: self._rows.of_flow.get(flow) for flow in flows}
        return {flow: self._rows.runs[next(reversed(known))] for flow, known in ids.items() if known}

    async def attempts(self, run: int) -> list[AttemptRecord]:
        """The attempts of the run before the present one, the first one first."""
        self._ask()
        return list(self._rows.attempts.get(run, ()))

    async def last_statuses(self, flow: str, limit: int) -> list[RunStatus]:
        """How the flow's last ended runs ended, newest first; SKIPPED and CANCELLED ones are left out."""
        self._ask()
        found: list[RunStatus] = []
        for number in reversed(self._rows.of_flow.get(flow, {})):
            if len(found) >= limit:
                break
            status = self._rows.runs[number].status
            if status in TOLD_ABOUT:
                found.append(status)
        return found

    async def position(self, flow: str) -> str | None:
        """Where the flow's last successful run left its source, as JSON; None if it never said."""
        self._ask()
        return self._rows.positions.get(flow)

    async def keep_unit(self, run: int, claim: int, unit: str, fingerprint: str, text: str) -> bool:
        """Store what a unit has prepared, as JSON, if the claim holds; again replaces."""
        self._ask()
        check("fingerprint", fingerprint)
        check("unit", unit)
        check_free("what a unit prepared", text)
        if not self._held(run, claim):
            return False
        prepared = self._rows.prepared.setdefault(run, Prepared())
        prepared.fingerprint = fingerprint
        prepared.units[unit] = text
        return True

    async def units(self, run: int) -> tuple[str, dict[str, str]]:
        """The fingerprint and the prepared units of a run, by id; empty for one that has none."""
        self._ask()
        prepared = self._rows.prepared.get(run, Prepared())
        return prepared.fingerprint, dict(prepared.units)

    async def decide(self, run: int, claim: int, text: str) -> bool:
        """Store the decision to commit with all receipts, if the claim holds. It cannot be taken back."""
        self._ask()
        check_free("a decision", text)
        if not self._held(run, claim):
            return False
        prepared = self._rows.prepared.setdefault(run, Prepared())
        if prepared.decision is None:
            prepared.decision = text
        with self._rows.transaction():
            self._rows.put_run(replace(self._rows.runs[run], cancel_requested=""))  # too late from now on
        return True

    async def decision(self, run: int) -> str | None:
        """The decision to commit the run, None where there is none."""
        self._ask()
        return self._rows.prepared.get(run, Prepared()).decision

    async def live_units(self) -> list[str]:
        """What live runs have prepared and not yet committed."""
        self._ask()
        live = self._rows.queued.keys() | self._rows.running.keys()
        return [
            text
            for number in sorted(live & self._rows.prepared.keys())
            for text in self._rows.prepared[number].units.values()
        ]

    async def prune(self, *, before: datetime | None, keep: int | None, limit: int) -> int:
        """Delete ended runs older than `before`, and of each flow all but the newest `keep`; None is no bound.

        Dead letters of no run go when they are that old.
        """
        self._ask()
        gone = sorted(self._outlived(moment(before, "before"), keep))[:limit]
        with self._rows.transaction():
            for number in gone:
                self._rows.forget_run(self._rows.runs[number])
        pruned = set(gone)
        for number in [number for number, letter in self._rows.letters.items() if letter.run in pruned]:
            del self._rows.letters[number]
        if before is not None:
            self._forget_alone(before, limit)
        return len(gone)

    def _forget_alone(self, before: datetime, limit: int) -> None:
        letters = self._rows.letters
        old = [
            one.id for one in letters.values() if not one.run and one.created_at and one.created_at < before
        ]
        for number in old[:limit]:
            del letters[number]

    def _outlived(self, before: datetime | None, keep: int | None) -> Iterator[int]:
        for ids in self._rows.of_flow.values():
            ended = [run for number in reversed(ids) if (run := self._rows.runs[number]).status not in LIVE]
            for newer, run in enumerate(ended):
                old = before is not None and run.end_time is not None and run.end_time < before
                if old or (keep is not None and newer >= keep):
                    yield run.id
