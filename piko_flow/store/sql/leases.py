"""Who leads and who lives, decided by the database's clock in single statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from piko_flow.store.fitting import fitting_replica
from piko_flow.store.records import PAUSED_WEIGHT, Lease, Pulse, ReplicaRecord
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.database import Database, Session, moments
from piko_flow.store.sql.dialects import Columns
from piko_flow.store.texts import check

MICROSECOND = timedelta(microseconds=1)
LOOK = "SELECT owner, version, lease_until, {now} FROM scheduler_leader WHERE name = :name"
LEASE = "SELECT owner, version, lease_until, {now} FROM scheduler_leader WHERE name = :name{lock}"
TAKE = """UPDATE scheduler_leader SET owner = :holder, version = :term, lease_until = :until, updated_at = :at
WHERE name = :name"""
RENEW = """UPDATE scheduler_leader SET lease_until = {later}, updated_at = {now}
WHERE name = :name AND owner = :holder AND version = :term"""
LAST_SIGN = "UPDATE replica SET alive_until = :until WHERE replica_id = :owner AND alive_until < :until"
RELEASE = """UPDATE scheduler_leader SET owner = '', lease_until = {now}
WHERE name = :name AND owner = :holder AND version = :term"""
FORGET = "DELETE FROM scheduler_leader WHERE name = :name AND lease_until <= {now}"
LEAVE = "DELETE FROM replica WHERE replica_id = :replica"
HIDE = "DELETE FROM job_run_live WHERE replica_id = :replica"
REPLICAS = """SELECT replica_id, host, pid, slots, running, version, started_at, alive_until, address
FROM replica ORDER BY replica_id"""
ADDRESS = "SELECT host, pid FROM replica WHERE replica_id = :replica"
DEAD = """NOT EXISTS (SELECT 1 FROM replica p WHERE p.replica_id = r.claimed_by AND p.alive_until > {now})
AND NOT EXISTS (SELECT 1 FROM scheduler_leader h WHERE h.owner = r.claimed_by AND h.lease_until > {now})"""
"""Whether the replica of a run `r` counts as dead."""
QUEUED = "r.status = 'QUEUED'"
RUNNING = "r.status = 'RUNNING' AND r.claim > 0"
"""Whether a run `r` is running under a claim; rows of other tools have none."""
DUE = f"{QUEUED} AND r.admitted AND (r.not_before IS NULL OR r.not_before <= {{now}})"
"""Whether anyone may claim a run `r` now."""
PULSE = f"""SELECT {{now}}, l.owner, l.version, l.lease_until,
(SELECT COUNT(*) FROM job_run r{{live}} WHERE {QUEUED}),
(SELECT COUNT(*) FROM job_run r{{live}} WHERE {RUNNING}),
(SELECT COUNT(*) FROM job_run r{{live}} WHERE {DUE}),
(SELECT COUNT(*) FROM job_run r{{live}} WHERE {RUNNING} AND r.claimed_by = :replica AND r.cancel_requested <> ''),
(SELECT COUNT(*) FROM job_run r{{live}} WHERE {RUNNING} AND {DEAD}),
(SELECT COALESCE(SUM(b.backfill_id * CASE b.state WHEN 'running' THEN 1 ELSE {PAUSED_WEIGHT} END), 0)
FROM backfill b WHERE b.state IN ('running', 'paused'))
FROM (SELECT 1 AS one) o LEFT JOIN scheduler_leader l ON l.name = :name"""
NEW_LEASE: Columns = {
    "name": "text",
    "owner": "text",
    "version": "int",
    "lease_until": "time",
    "updated_at": "time",
}
BEAT: Columns = {
    "replica_id": "text",
    "host": "text",
    "pid": "int",
    "slots": "int",
    "running": "int",
    "version": "text",
    "started_at": "time",
    "address": "text",
}


class SqlLeases:
    """LeaseStore in a database; see the protocol for what is promised."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._look, self._lease = dialect.statement(LOOK), dialect.statement(LEASE)
        self._take, self._release = dialect.statement(TAKE), dialect.statement(RELEASE)
        self._renew, self._forget_lease = map(dialect.statement, (RENEW, FORGET))
        self._last_sign = dialect.statement(LAST_SIGN)
        self._leave, self._replicas, self._pulse = map(dialect.statement, (LEAVE, REPLICAS, PULSE))
        self._address, self._hide_runs = dialect.statement(ADDRESS), dialect.statement(HIDE)
        self._new_lease = dialect.insert_new("scheduler_leader", NEW_LEASE, key="name")
        beaten = [name for name in BEAT if name != "replica_id"]
        self._beat = dialect.upsert(
            "replica", BEAT, {"alive_until": "{later}"}, key="replica_id", sets=[*beaten, "alive_until"]
        )
        self._addresses: dict[str, tuple[str, int]] = {}

    async def acquire(self, name: str, *, holder: str, ttl: timedelta) -> Lease | None:
        """Take the lease if it is free, run out or the holder's own; the term grows only when the holder changes."""
        check("lease", name)
        check("replica", holder)

        async def work(session: Session) -> Lease | None:
            found = await session.row(self._look, name=name)
            if found is None:
                now = await session.now()
                lease = Lease(name, holder, 1, now + ttl)
                rows = [
                    {
                        "name": name,
                        "owner": holder,
                        "version": 1,
                        "lease_until": lease.until,
                        "updated_at": now,
                    }
                ]
                if await session.change_rows(self._new_lease, moments(rows)):
                    return lease
            elif not self._may_take(found, holder):
                return None  # without a lock: this is what all but one are told
            elif found[0] and found[0] != holder:
                # Who led has not beaten meanwhile: the end of its lease is its last sign. Said before the lease's
                # row is locked, under which nothing is waited for.
                await session.change(self._last_sign, owner=found[0], until=read_moment(found[2]))
            row = await session.row(self._lease, name=name)
            if row is None or not self._may_take(row, holder):  # another was quicker
                return None
            now = self._database.heard(row[3])
            term = row[1] if row[0] == holder else row[1] + 1
            return await self._prolong(session, Lease(name, holder, term, now + ttl), now)

        return await self._database.transact(f"take the lease {name!r}", work)

    def _may_take(self, row: Sequence[Any], holder: str) -> bool:
        owner, _, until, now = row
        end = read_moment(until)
        return owner == holder or end is None or end <= self._database.heard(now)

    async def renew(self, lease: Lease, *, ttl: timedelta) -> bool:
        """Prolong the lease if holder and term are still these, even if it had run out; gives whether they are."""
        moved = await self._database.change(
            f"renew the lease {lease.name!r}",
            self._renew,
            name=lease.name,
            holder=lease.holder,
            term=lease.term,
            ttl=ttl // MICROSECOND,
        )
        return moved == 1

    async def _prolong(self, session: Session, lease: Lease, now: datetime) -> Lease:
        await session.change(
            self._take, name=lease.name, holder=lease.holder, term=lease.term, until=lease.until, at=now
        )
        return lease

    async def release(self, lease: Lease) -> None:
        """End the lease at once, so that another need not wait; without effect when it is another's."""
        # Without a holder, so that a renewal that was on its way cannot bring it back.
        await self._database.change(
            f"give back the lease {lease.name!r}",
            self._release,
            name=lease.name,
            holder=lease.holder,
            term=lease.term,
        )

    async def forget_lease(self, name: str) -> None:
        """Delete the lease; one that has not run out stays."""
        await self._database.change(f"forget the lease {name!r}", self._forget_lease, name=name)

    async def beat(self, replica: ReplicaRecord, *, ttl: timedelta) -> None:
        """Count the replica as alive for `ttl` from now. Who holds an unexpired lease counts as alive, too."""
        replica = fitting_replica(replica)
        row = {name: getattr(replica, "id" if name == "replica_id" else name) for name in BEAT}
        await self._database.once(
            "note that this replica lives",
            lambda session: session.change_rows(self._beat, moments([row]), ttl=ttl // MICROSECOND),
            writes=True,
        )
        self._addresses = {replica.id: (replica.host, replica.pid)}

    async def leave(self, replica: str) -> None:
        """Forget the replica, and what it showed of its runs."""
        self._addresses.pop(replica, None)

        async def work(session: Session) -> None:
            await session.change(self._hide_runs, replica=replica)
            await session.change(self._leave, replica=replica)

        await self._database.transact("forget a replica", work)

    async def replicas(self) -> list[ReplicaRecord]:
        """All replicas that have not left, by id; the dead among them too until they are swept."""
        rows = await self._database.rows("list the replicas", self._replicas)
        return [ReplicaRecord(*row[:6], *map(read_moment, row[6:8]), *row[8:]) for row in rows]

    async def pulse(self, name: str, replica: str) -> Pulse:
        """One statement, whatever the number of flows and ended runs."""
        row = await self._database.row("look for work", self._pulse, name=name, replica=replica)
        now, owner, term, until, *counts = row
        lease = (
            None
            if owner is None
            else Lease(name, owner, term, read_moment(until) or self._database.clock.now())
        )
        return Pulse(self._database.heard(now), lease, *map(int, counts))  # a sum may come as a decimal

    async def _claimer(self, session: Session, replica: str) -> ReplicaRecord:
        """The replica as its last beat told it, for the rows of the runs that it claims."""
        if replica not in self._addresses:
            row = await session.row(self._address, replica=replica)
            if row is None:
                return ReplicaRecord(replica)
            self._addresses = {replica: (row[0], row[1])}
        host, pid = self._addresses[replica]
        return ReplicaRecord(replica, host, pid)
