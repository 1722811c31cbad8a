"""A leader that is cut off or stands still in mid-transaction keeps nobody from leading: another starts runs in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from tests.faults.control_replicas import LEASE, Replica
from tests.faults.control_scene import Scene, scene
from tests.faults.silent_network import SilentNetwork
from tests.system.running_app import eventually

WITHIN = LEASE + timedelta(seconds=2)
"""From the cut to the first run that another leader has made and started."""
KINDS = (
    "SELECT flow_state and lock",
    "SELECT scheduled_job",
    "UPDATE run_id_block",
    "INSERT job_run",
    "SELECT job_run and lock",
    "UPDATE job_run",
    "INSERT flow_state",
    "UPDATE scheduled_job",
    "SELECT scheduler_leader and lock",
    "COMMIT",
)
"""What a leader asks for in the transactions of its steps, until each is committed."""
FIRST = {"SELECT scheduler_leader", "INSERT scheduler_leader"}  # of who takes the lease
WAYS = ("the request is lost", "the answer is lost", "the leader stands still")
USUAL = [("SELECT flow_state and lock", WAYS[2]), ("COMMIT", WAYS[1])]
TABLE = [cell for cell in product(KINDS, WAYS) if cell not in USUAL]


class Cut:
    """Two replicas, each with a network of its own to the server; that of the leader can be cut."""

    def __init__(self, opened: Scene, leader: Replica, network: SilentNetwork) -> None:
        self.scene, self.leader, self.network = opened, leader, network

    async def at(self, kind: str, way: str) -> datetime:
        """Return when the leader has been cut off at such a statement, by the database's clock."""

        def cut() -> bool:
            if way == WAYS[2]:
                self.leader.freeze()
                return True
            asyncio.get_running_loop().call_soon(self.network.fall_silent)
            return way == WAYS[1]

        self.network.arm(kind, cut)
        await asyncio.wait_for(self.network.reached.wait(), 30)
        return await self.scene.now()

    async def started(self, flow: str, after: datetime) -> timedelta:
        """How long after the instant another leader has made a run of the flow and started it."""
        other = await self.scene.leader(but=self.leader)

        async def begun() -> timedelta | None:
            for run in await self.scene.runs(flow):
                if run.created_at is not None and run.created_at > after and run.replica == other.id:
                    assert run.start_time is not None
                    return run.start_time - after
            return None

        found = await eventually(begun)
        assert found is not None
        return found


@asynccontextmanager
async def pair(url: str, folder: Path) -> AsyncIterator[Cut]:
    """A leader and another replica at work, with flows that are due each second."""
    first, second = SilentNetwork(url), SilentNetwork(url)
    async with first.standing(), second.standing(), scene(folder, url) as opened:
        begin = (await opened.now()).replace(microsecond=0)
        await opened.schedule("quick", seconds=1)
        await opened.schedule("windows", seconds=1, start_date=begin.isoformat(), begin=begin)
        leader = opened.start(by=first.url)
        await leader.serving()
        await opened.leader()
        await opened.start(by=second.url).serving()
        await opened.noted("windows", "ran")
        await opened.noted("quick", "ran")
        try:
            yield Cut(opened, leader, first)
        finally:
            for replica in opened.replicas:
                replica.discard()  # before the networks go


async def cut_off(url: str, folder: Path, kind: str, way: str) -> None:
    """Cut a leader off; then flows of both sorts are started by another in time."""
    async with pair(url, folder) as cut:
        after = await cut.at(kind, way)
        for flow in ("quick", "windows"):
            assert await cut.started(flow, after) < WITHIN


@pytest.mark.parametrize(("kind", "way"), USUAL)
async def test_another_starts_runs_within_the_lease_and_two_seconds(
    server_url: str, tmp_path: Path, kind: str, way: str
) -> None:
    await cut_off(server_url, tmp_path, kind, way)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "way"), TABLE)
async def test_at_every_statement_another_starts_runs_within_the_lease_and_two_seconds(
    server_url: str, tmp_path: Path, kind: str, way: str
) -> None:
    await cut_off(server_url, tmp_path, kind, way)


@pytest.mark.long
async def test_there_is_no_other_kind_of_statement_in_the_transactions_of_a_leader(
    server_url: str, tmp_path: Path
) -> None:
    async with pair(server_url, tmp_path) as cut:

        async def all_seen() -> bool:
            return cut.network.seen >= set(KINDS)

        await eventually(all_seen)
        assert sorted(cut.network.seen - FIRST) == sorted(KINDS)
