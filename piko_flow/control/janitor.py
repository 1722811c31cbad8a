"""Deleting what retention no longer keeps."""

from __future__ import annotations

from datetime import timedelta

from piko_flow.control.options import ReplicaOptions
from piko_flow.control.timing import DatabaseTime
from piko_flow.store.protocols import Store

PRUNED = 1000  # runs deleted in one step
POLL_AGAIN = 2.0  # seconds after which the next ones are deleted
FORGOTTEN_AFTER = timedelta(days=1)  # since a dead replica's last sign of life


class Janitor:
    """Deletes ended runs by their age and number, and replicas that died long ago, a little at a time."""

    def __init__(self, *, store: Store, options: ReplicaOptions, time: DatabaseTime) -> None:
        self._store, self._options, self._time = store, options, time

    async def prune(self) -> float:
        """Do one step; gives the seconds after which the next is due."""
        options, now = self._options, self._time.now()
        before = None if options.runs_kept_for is None else now - options.runs_kept_for
        gone = await self._store.prune(before=before, keep=options.runs_kept, limit=PRUNED)
        for other in await self._store.replicas():
            if other.until is not None and other.until < now - FORGOTTEN_AFTER:
                await self._store.leave(other.id)
        return POLL_AGAIN if gone >= PRUNED else options.prune_every.total_seconds()
