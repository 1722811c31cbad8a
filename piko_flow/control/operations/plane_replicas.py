"""Who leads, who is alive, and what is kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from piko_flow.control.operations.plane_part import PlanePart, refuse
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.records import Lease, ReplicaRecord, RunRecord

PRUNED = 1000  # runs that one transaction deletes


@dataclass(frozen=True, slots=True)
class LeaderView:
    """The lease and the replicas, alive or not, at the store's time `now`.

    `lease` is None before anybody has led; `leads` says whether its time has not run out. Without an election
    every replica leads for itself, and there is no lease to show.
    """

    name: str
    lease: Lease | None
    leads: bool
    elected: bool
    replicas: tuple[ReplicaRecord, ...]
    now: datetime

    def alive(self, replica: ReplicaRecord) -> bool:
        """Whether the replica counts as alive: by its own signs, or because it holds the lease."""
        until = self.until(replica)
        return until is not None and until > self.now

    def until(self, replica: ReplicaRecord) -> datetime | None:
        """How long the replica counts as alive if it gives no further sign.

        Who leads, or did last, renews the lease instead of beating: then it is the end of that.
        """
        if self.lease is None or self.lease.holder != replica.id:
            return replica.until
        return self.lease.until if replica.until is None else max(self.lease.until, replica.until)

    def may_be_at_work(self, run: RunRecord) -> bool:
        """Whether the process that had the run last is alive.

        A run that waits again belongs to no replica, but still says in which process it was.
        """
        same = [one for one in self.replicas if (one.host, one.pid) == (run.host, run.pid)]
        return any(map(self.alive, same))

    def holds(self, replica: ReplicaRecord) -> bool:
        """Whether this replica leads."""
        return self.leads and self.lease is not None and self.lease.holder == replica.id


class PlaneReplicas(PlanePart):
    """Show and end leadership; prune."""

    async def leader(self, *, counted: bool = False) -> LeaderView:
        """Who leads now, and which replicas there are.

        With `counted` each has the runs that are running on it now, and counts as alive until then: who leads renews
        the lease instead of beating, so what its last beat said of both is old.
        """
        pulse = await self.store.pulse(self.options.lease_name, "")
        lease = pulse.lease
        view = LeaderView(
            name=self.options.lease_name,
            lease=lease,
            leads=lease is not None and bool(lease.holder) and lease.until > pulse.now,
            elected=self.options.elected,
            replicas=tuple(await self.store.replicas()),
            now=pulse.now,
        )
        if not counted:
            return view
        runs = Counter(run.replica for run in await self.store.live() if run.status is RunStatus.RUNNING)
        return replace(
            view,
            replicas=tuple(
                replace(one, running=runs[one.id], until=view.until(one)) for one in view.replicas
            ),
        )

    async def resign_leader(self, *, by: str = "") -> Lease:
        """End the leader's lease, from wherever; gives it as it was. Refused when nobody leads.

        The next replica that asks leads then, in a new term; the old leader too where there is no other. The old
        one notices with its next renewal; what it writes as the leader until then is refused once another leads.
        Its runs go on.
        """
        view = await self.leader()
        if view.lease is None or not view.leads:
            got = "nobody holds it" if view.elected else "there is no election, each replica leads for itself"
            refuse("let the leader resign", f"somebody holds the lease {view.name!r}", got)
        # Who leads need not show otherwise that it lives: without this its runs would be taken for lost.
        holder = view.lease.holder
        known = next((one for one in view.replicas if one.id == holder), ReplicaRecord(holder))
        await self.store.beat(known, ttl=self.options.alive)
        await self.store.release(view.lease)
        was = {"holder": holder, "term": view.lease.term}
        await self.changed("leader.resign", f"lease {view.name}", before=was, by=by)
        return view.lease

    async def prune(self, *, older_than: timedelta | None, keep: int | None, by: str = "") -> int:
        """Delete ended runs older than that, and of each flow all but the newest `keep`; None is no bound.

        In small transactions, so that nothing else waits for it. Gives how many went. The ledger stays.
        """
        if older_than is not None and older_than < timedelta(0):
            refuse("prune runs", "the age is at least 0", f"got {older_than}")
        if keep is not None and keep < 0:
            refuse("prune runs", "the number to keep is at least 0", f"got {keep}")
        before = None if older_than is None else await self.now() - older_than
        gone = 0
        while step := await self.store.prune(before=before, keep=keep, limit=PRUNED):
            gone += step
        if gone:
            after = {"older_than": older_than, "keep": keep, "deleted": gone}
            await self.changed("runs.prune", "all runs", after=after, by=by)
        return gone
