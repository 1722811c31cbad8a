"""The prototype's writer: all changes that wait when a commit ends go into the next one, together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """A run as the prototype knows it: its number, its flow, and when it was due."""

    run_id: int
    flow: str
    scheduled_time: datetime


@dataclass(slots=True)
class Group:
    """The changes of one commit. A run is in at most one of the lists."""

    committed: asyncio.Future[None]
    queued: list[Row] = field(default_factory=list)
    started: list[Row] = field(default_factory=list)  # inserted as already claimed and running
    claimed: list[Row] = field(default_factory=list)
    finished: list[Row] = field(default_factory=list)

    def settled(self) -> dict[str, tuple[int, datetime]]:
        """For each flow how many runs of it finished in this commit, and the latest time of them."""
        flows: dict[str, tuple[int, datetime]] = {}
        for row in self.finished:
            count, latest = flows.get(row.flow, (0, row.scheduled_time))
            flows[row.flow] = count + 1, max(latest, row.scheduled_time)
        return flows


class GroupStore(Protocol):
    """One database connection that records a group in one durable transaction."""

    async def commit(self, group: Group) -> None:
        """Record the group. Raises RuntimeError when a run was not in the state that its change leaves."""

    async def check(self, runs: int) -> None:
        """Raises AssertionError unless exactly so many runs succeeded and the ledger counts them all."""


class GroupWriter:
    """Each call returns when its change is durable. Cancelling a call may leave the change recorded."""

    def __init__(self, store: GroupStore) -> None:
        self._store, self._wanted = store, asyncio.Event()
        self._gathering = self._new_group()
        self.commits = 0

    async def queue(self, row: Row) -> None:
        self._gathering.queued.append(row)
        await self._next_commit()

    async def start(self, row: Row) -> None:
        self._gathering.started.append(row)
        await self._next_commit()

    async def claim(self, row: Row) -> None:
        self._gathering.claimed.append(row)
        await self._next_commit()

    async def finish(self, row: Row) -> None:
        self._gathering.finished.append(row)
        await self._next_commit()

    def _next_commit(self) -> asyncio.Future[None]:
        self._wanted.set()
        return self._gathering.committed

    @staticmethod
    def _new_group() -> Group:
        return Group(asyncio.get_running_loop().create_future())

    async def write(self) -> None:
        """Commit group after group until cancelled. What the store raises ends it."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            group, self._gathering = self._gathering, self._new_group()
            await self._store.commit(group)
            self.commits += 1
            group.committed.set_result(None)


@asynccontextmanager
async def writing(store: GroupStore) -> AsyncIterator[GroupWriter]:
    """A writer that works over the block. Its failure cancels the block and is raised."""
    async with asyncio.TaskGroup() as group:
        writer = GroupWriter(store)
        task = group.create_task(writer.write(), name="writer")
        yield writer
        task.cancel()


def expect(moved: int, wanted: int, change: str) -> None:
    """The state of each run is verified by counting the rows that a guarded statement moved."""
    if moved != wanted:
        raise RuntimeError(f"{change}: {moved} of {wanted} runs were in the state before it")
