"""Who leads, and which replicas live."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from piko_flow.planning.run_state import RunStatus
from piko_flow.store.applying import OPEN_BACKFILLS, is_alive
from piko_flow.store.fitting import fitting_replica
from piko_flow.store.memory.part import MemoryPart
from piko_flow.store.records import PAUSED_WEIGHT, Lease, Pulse, ReplicaRecord, RunRecord
from piko_flow.store.texts import check


class MemoryLeases(MemoryPart):
    """LeaseStore in memory; see the protocol for what is promised."""

    async def acquire(self, name: str, *, holder: str, ttl: timedelta) -> Lease | None:
        """Take the lease if it is free, run out or the holder's own; the term grows only when the holder changes."""
        now, held = self._ask(), self._rows.leases.get(name)
        if held is None:
            taken = Lease(check("lease", name), check("replica", holder), 1, now + ttl)
        elif held.holder == holder:
            taken = replace(held, until=now + ttl)
        elif held.until > now:
            return None
        else:
            taken = Lease(name, check("replica", holder), held.term + 1, now + ttl)
            before = self._rows.replicas.get(held.holder)
            if before is not None and before.until is not None and before.until < held.until:
                self._rows.replicas[before.id] = replace(before, until=held.until)
        self._rows.leases[name] = taken
        return taken

    async def renew(self, lease: Lease, *, ttl: timedelta) -> bool:
        """Prolong the lease if holder and term are still these, even if it had run out; gives whether they are."""
        now, held = self._ask(), self._rows.leases.get(lease.name)
        if held is None or (held.holder, held.term) != (lease.holder, lease.term):
            return False
        self._rows.leases[lease.name] = replace(held, until=now + ttl)
        return True

    async def release(self, lease: Lease) -> None:
        """End the lease at once, so that another need not wait; without effect when it is another's."""
        now, held = self._ask(), self._rows.leases.get(lease.name)
        if held is not None and (held.holder, held.term) == (lease.holder, lease.term):
            # Without a holder, so that a renewal that was on its way cannot bring it back.
            self._rows.leases[lease.name] = replace(held, holder="", until=now)

    async def forget_lease(self, name: str) -> None:
        """Delete the lease; one that has not run out stays."""
        now, held = self._ask(), self._rows.leases.get(name)
        if held is not None and held.until <= now:
            del self._rows.leases[name]

    async def beat(self, replica: ReplicaRecord, *, ttl: timedelta) -> None:
        """Count the replica as alive for `ttl` from now."""
        now = self._ask()
        self._rows.replicas[replica.id] = replace(fitting_replica(replica), until=now + ttl)

    async def leave(self, replica: str) -> None:
        """Forget the replica, and what it showed of its runs."""
        self._ask()
        self._rows.replicas.pop(replica, None)
        self._rows.shown.pop(replica, None)

    async def replicas(self) -> list[ReplicaRecord]:
        """All replicas that have not left, by id."""
        self._ask()
        return [self._rows.replicas[name] for name in sorted(self._rows.replicas)]

    async def pulse(self, name: str, replica: str) -> Pulse:
        """What a replica asks each second."""
        now, rows = self._ask(), self._rows
        running = [rows.runs[number] for number in rows.running]
        return Pulse(
            now=now,
            lease=rows.leases.get(name),
            queued=len(rows.queued),
            running=len(running),
            claimable=sum(is_due(rows.runs[number], now) for number in rows.admitted),
            cancels=sum(run.replica == replica and bool(run.cancel_requested) for run in running),
            lost=len(self._lost(now)),
            backfills=sum(
                one.id * (PAUSED_WEIGHT if one.state == "paused" else 1)
                for one in rows.backfills.values()
                if one.state in OPEN_BACKFILLS
            ),
        )

    def _lost(self, now: datetime) -> list[RunRecord]:
        rows = self._rows
        dead = {
            name
            for name in {rows.runs[number].replica for number in rows.running}
            if not is_alive(name, rows.replicas.get(name), rows.leases.values(), now)
        }
        return [run for run in rows.sorted_runs(rows.running) if run.replica in dead] if dead else []


def is_due(run: RunRecord, now: datetime) -> bool:
    """Whether anyone may claim the run now."""
    return (
        run.status is RunStatus.QUEUED and run.admitted and (run.not_before is None or run.not_before <= now)
    )
