"""Databases that end, refuse or keep everyone waiting while a run is running."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy.engine import make_url

from piko_flow.dataflow.stages.sink import Transaction
from piko_flow.errors import StoreUnavailable
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Ending
from piko_flow.store.records import NewRun, RunRecord
from tests.databases.plugin import PrivateServers
from tests.databases.server import Server
from tests.faults.control_replicas import Replica
from tests.faults.control_scene import SECOND, Scene, scene


@pytest_asyncio.fixture
async def own_server(private_servers: PrivateServers) -> AsyncIterator[Server]:
    """A MariaDB that a test may kill."""
    yield private_servers.start("mariadb")


def as_a_plain_account(server: Server) -> str:
    """The URL of a new database for an account that may not write when the server is read-only."""
    url = make_url(server.create_database())
    server.execute("CREATE USER 'plain'@'127.0.0.1' IDENTIFIED BY 'plain'")
    server.execute(f"GRANT ALL ON {url.database}.* TO 'plain'@'127.0.0.1'")
    return url.set(username="plain", password="plain").render_as_string(hide_password=False)


async def busy(scene: Scene) -> tuple[Replica, RunRecord]:
    """A replica that leads, fires each second and has a run in hand."""
    await scene.schedule("quick", seconds=1)
    await scene.schedule("windows", seconds=1, begin=(await scene.now()).replace(microsecond=0))
    (replica,) = await scene.serving(1)
    run = await scene.trigger("gated")
    await scene.noted("gated", "began")
    await scene.in_state("windows", RunStatus.SUCCESS)
    return replica, run


async def goes_on(scene: Scene, replica: Replica, run: RunRecord) -> None:
    """The run's end is recorded, and everything that was due meanwhile runs."""
    done = await scene.in_state(run, RunStatus.SUCCESS)
    assert (done.replica, done.rescues, done.attempt) == (replica.id, 0, 1)
    assert len(scene.notes("gated", "began")) == 1
    at = await scene.now()
    await scene.fired_after("quick", at + SECOND)
    await scene.settled("windows", at)
    await scene.fired_each_second("quick")
    await replica.says(lambda code, answer: (code, answer["role"]) == (200, "leader"))
    assert (await replica.probe("/livez"))[0] == 200


async def test_a_database_that_is_killed_and_started_again_in_mid_run_has_the_runs_end_and_all_fires(
    own_server: Server, tmp_path: Path
) -> None:
    async with scene(tmp_path, own_server.create_database()) as on:
        replica, run = await busy(on)
        own_server.kill()
        answer = await replica.says(lambda code, answer: code == 503)
        assert answer["problems"][0].startswith("the store did not answer")
        on.open_gate("gated")
        await on.noted("gated", "ended")
        own_server.start()
        await goes_on(on, replica, run)


async def test_a_database_that_takes_no_writes_for_a_while_is_told_and_gets_all_of_it_later(
    own_server: Server, tmp_path: Path
) -> None:
    async with scene(tmp_path, as_a_plain_account(own_server)) as on:
        replica, run = await busy(on)
        own_server.execute("SET GLOBAL read_only = 1")
        answer = await replica.says(lambda code, answer: code == 503)
        assert "read-only" in answer["problems"][0]
        assert (await replica.probe("/livez"))[0] == 200
        on.open_gate("gated")
        await on.noted("gated", "ended")
        own_server.execute("SET GLOBAL read_only = 0")
        await goes_on(on, replica, run)


async def test_a_run_whose_last_transaction_is_refused_between_its_rows_and_the_ledger_is_not_the_sinks_fault(
    own_server: Server, tmp_path: Path
) -> None:
    async with scene(tmp_path, as_a_plain_account(own_server)) as on:
        wanted = NewRun("windows", await on.now(), "one", claim=True)
        (run,) = (await on.store.write(Batch("a", queue=[wanted]))).queued
        assert run is not None

        async def row(transaction: Transaction) -> None:
            own_server.execute("SET GLOBAL read_only = 1")
            await transaction.execute("INSERT INTO written (flow, start_time, run) VALUES ('windows', '', 1)")

        ending = Ending(run.id, run.claim, run.flow, RunStatus.SUCCESS, within=row)
        with pytest.raises(StoreUnavailable, match="read-only"):
            await on.store.write(Batch("a", endings=[ending]))
        own_server.execute("SET GLOBAL read_only = 0")
        assert (await on.in_state(run, RunStatus.RUNNING)).claim == run.claim


async def test_a_file_that_another_process_keeps_locked_is_told_and_gets_all_of_it_later(
    sqlite_scene: Scene, tmp_path: Path
) -> None:
    scene = sqlite_scene
    replica, run = await busy(scene)
    with closing(sqlite3.connect(tmp_path / "piko.db", isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN EXCLUSIVE")
        scene.open_gate("gated")
        await scene.noted("gated", "ended")
        answer = await replica.says(lambda code, answer: code == 503)
        assert "has not answered for" in answer["problems"][0]
        assert (await replica.probe("/livez"))[0] == 200
        other.execute("ROLLBACK")
    await goes_on(scene, replica, run)
