"""Deleting what retention no longer keeps."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

from piko_flow.control.leader.leadership import own_lease
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.timing import DatabaseTime
from piko_flow.store.ops_rules import KEPT
from piko_flow.store.protocols import Store

PRUNED = 1000  # runs deleted in one step
VERSIONS = 100  # of each flow's parameters, that are kept however old they are
SWEPT = 5  # runs whose staged rows are deleted in one step; each may have hundreds of megabytes of them
POLL_AGAIN = 2.0  # seconds after which the next ones are deleted
TOKENS_KEPT = timedelta(days=30)  # that are not good any more, so that who used them can be told
FORGOTTEN_AFTER = timedelta(days=1)  # since a dead replica's last sign of life


class Janitor:
    """Deletes ended runs by age and number, old dead letters and parameters, what ended runs left staged, audits and ended
    episodes that are as old as runs may be, answers that are given no more, tokens that have long not been good, dead
    replicas.

    A little at a time, each subject in a step of its own, so that one with nothing to delete is one statement.
    """

    def __init__(self, *, store: Store, options: ReplicaOptions, time: DatabaseTime) -> None:
        self._store, self._options, self._time = store, options, time
        self._subjects = (self._old_runs, self._surplus_runs, self._rarer)
        # Each has a turn in four.
        self._rare = deque((self._old_letters, self._old_params, self._staged, self._old_operations))
        self._ahead = deque(self._subjects)

    async def step(self) -> float:
        """Do one step; gives the seconds after which the next is due."""
        if not await self._ahead[0]():
            return POLL_AGAIN
        self._ahead.popleft()
        if self._ahead:
            return 0.0
        self._ahead.extend(self._subjects)
        return self._options.prune_every.total_seconds()

    async def _old_runs(self) -> bool:
        """Whether that was all of them, as with the others."""
        kept_for = self._options.runs_kept_for
        if kept_for is None:
            return True
        return await self._store.prune(before=self._time.now() - kept_for, keep=None, limit=PRUNED) < PRUNED

    async def _surplus_runs(self) -> bool:
        keep = self._options.runs_kept
        return keep is None or await self._store.prune(before=None, keep=keep, limit=PRUNED) < PRUNED

    async def _rarer(self) -> bool:
        ended = await self._rare[0]()
        if ended:
            self._rare.rotate()
            await self._dead_replicas()
        return ended

    async def _old_letters(self) -> bool:
        kept_for = self._options.letters_kept_for
        if kept_for is None:
            return True
        before = self._time.now() - kept_for
        return await self._store.prune_dead_letters(before=before, limit=PRUNED) < PRUNED

    async def _old_params(self) -> bool:
        kept_for = self._options.runs_kept_for
        if kept_for is None:
            return True
        before = self._time.now() - kept_for
        return await self._store.prune_params(before=before, keep=VERSIONS, limit=PRUNED) < PRUNED

    async def _old_operations(self) -> bool:
        now, kept_for = self._time.now(), self._options.runs_kept_for
        gone = await self._store.prune_operations(
            before=None if kept_for is None else now - kept_for,
            answers=now - KEPT,
            tokens=now - TOKENS_KEPT,
            limit=PRUNED,
        )
        return gone < PRUNED

    async def _staged(self) -> bool:
        return not await self._store.sweep_staged(SWEPT)

    async def _dead_replicas(self) -> None:
        before = self._time.now() - FORGOTTEN_AFTER
        for other in await self._store.replicas():
            if other.until is None or other.until >= before or await self._leads(other.id):
                continue
            await self._store.forget_lease(own_lease(self._options.lease_name, other.id))
            await self._store.leave(other.id)

    async def _leads(self, replica: str) -> bool:
        """Whether the replica has a lease, and so gives no other sign of life."""
        name = self._options.lease_name
        for one in (name, own_lease(name, replica)):
            pulse = await self._store.pulse(one, replica)
            if pulse.lease is not None and pulse.lease.holder == replica and pulse.lease.until > pulse.now:
                return True
        return False
