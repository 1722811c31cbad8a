"""A replica on an SQLite file whose rows people change by SQL while it works."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.replica.replica import Replica
from piko_flow.control.runs.outcome import Outcome
from piko_flow.control.runs.run_order import RunOrder
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.opening import open_store
from piko_flow.store.records import ReplicaRecord
from piko_flow.testing.faults import turns
from piko_flow.testing.manual_clock import ManualClock
from tests.unit.control_worlds import CATCH_UP, NOON, Flows, at, hours

PATIENT = ReplicaOptions(
    lease=timedelta(days=1),
    renew_every=timedelta(hours=1),
    alive=timedelta(days=1),
    reconcile_every=timedelta(seconds=1),
    reconcile_jitter=timedelta(0),
)
HOURLY = "'interval', '{\"hours\": 1}'"


class Settings(BaseModel):
    region: str = "eu"


class Runs:
    """Runs that end well as soon as they are begun; `orders` has what was begun."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.orders: list[RunOrder] = []

    def start(self, orders: Sequence[RunOrder], /) -> None:
        self.orders += orders
        ended = [(order.record.id, Outcome(RunStatus.SUCCESS)) for order in orders]
        asyncio.get_running_loop().call_soon(self._replica.worker.ended, ended)

    def cancel(self, run: int, reason: Reason, /) -> None: ...


class Scene:
    """The replica, stepped by hand each ten minutes of a clock that is the file's, too."""

    def __init__(self, replica: Replica, clock: ManualClock, file: Path) -> None:
        self.replica, self._clock, self._file = replica, clock, file
        self.runs = replica.worker.runs = Runs(replica)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Execute these as another process does; gives the rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        with closing(sqlite3.connect(self._file)) as connection, connection:
            for statement in statements:
                rows = connection.execute(statement).fetchall()
        return rows

    async def advance(self, minutes: int) -> None:
        """Let so many minutes pass, ten at a time."""
        for _ in range(minutes // 10):
            await self._clock.advance(600)
            for _ in range(8):  # looks at the store and duties by turns, three duties of them
                await self.replica.tick()
                while await self._step():
                    await self.replica.recorder.flush()

    async def _step(self) -> bool:
        """What is to do at once; False when there is nothing."""
        led, worked = await self.replica.lead(), await self.replica.worker.step()
        await turns(2)  # the runs end
        return led or worked

    def windows(self, flow: str) -> list[Window | None]:
        """The windows that were begun of the flow."""
        return [order.record.window for order in self.runs.orders if order.record.flow == flow]

    def fires(self, flow: str) -> list[Any]:
        """The scheduled times that were begun of the flow."""
        return [order.record.scheduled_time for order in self.runs.orders if order.record.flow == flow]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    flows, clock = Flows(), ManualClock(NOON)
    flows.add("orders", stateful=True, backfill=CATCH_UP)

    @Flow.register("mail", params=Settings, registry=flows.registry)
    async def mail(run: RunContext[Settings]) -> None: ...

    file = tmp_path / "flows.db"
    store = await open_store(f"sqlite:///{file}", clock=clock)
    replica = Replica(
        store=store,
        registry=flows.registry,
        record=ReplicaRecord("one", "host", 1, slots=10),
        options=PATIENT,
        clock=clock,
    )
    writing = asyncio.create_task(replica.recorder.run())
    try:
        yield Scene(replica, clock, file)
    finally:
        writing.cancel()
        await store.close()


def insert(flow: str, kind_and_expression: str = HOURLY) -> str:
    """The statement of the existing system's manual, without its version."""
    return f"INSERT INTO scheduled_job(job_id, schedule_type, schedule_expr) VALUES ('{flow}', {kind_and_expression})"


async def test_a_row_that_is_inserted_with_three_columns_runs_by_the_servers_defaults(scene: Scene) -> None:
    scene.sql(insert("mail"))
    await scene.advance(120)
    assert scene.fires("mail") == [at(13), at(14)]


async def test_an_update_that_leaves_the_version_alone_takes_effect(scene: Scene) -> None:
    scene.sql(insert("mail"))
    await scene.advance(60)
    scene.sql("""UPDATE scheduled_job SET schedule_expr = '{"minutes": 20}' WHERE job_id = 'mail'""")
    await scene.advance(60)
    assert scene.fires("mail") == [
        at(13),
        at(13) + timedelta(minutes=20),
        at(13) + timedelta(minutes=40),
        at(14),
    ]


async def test_a_row_whose_expression_is_no_json_is_refused_in_the_table_and_the_next_one_runs(
    scene: Scene,
) -> None:
    scene.sql(insert("orders", "'interval', '{hours: 1'"), insert("mail"))
    await scene.advance(60)
    [(refused,)] = scene.sql("SELECT refused FROM flow_state WHERE job_id = 'orders'")
    assert "JSON" in refused
    assert scene.fires("mail") == [at(13)]
    scene.sql("""UPDATE scheduled_job SET schedule_expr = '{"hours": 1}' WHERE job_id = 'orders'""")
    await scene.advance(10)
    assert scene.sql("SELECT refused FROM flow_state WHERE job_id = 'orders'") in ([("",)], [(None,)])
    assert scene.windows("orders") == hours(12, 13)


async def test_last_data_time_is_set_back_and_forward_by_update(scene: Scene) -> None:
    scene.sql(insert("orders"))
    await scene.advance(120)
    assert scene.windows("orders") == hours(11, 14)
    scene.sql(
        "UPDATE scheduled_job SET last_data_time = '2026-03-02 13:00:00.000000' WHERE job_id = 'orders'"
    )
    await scene.advance(10)
    assert scene.windows("orders") == [*hours(11, 14), *hours(13, 14)]
    scene.sql(
        "UPDATE scheduled_job SET last_data_time = '2026-03-02 16:00:00.000000' WHERE job_id = 'orders'"
    )
    await scene.advance(180)
    assert scene.windows("orders") == [*hours(11, 14), *hours(13, 14), *hours(16, 17)]
    [(shown,)] = scene.sql("SELECT last_data_time FROM scheduled_job WHERE job_id = 'orders'")
    assert shown.startswith("2026-03-02 17:00:00")


async def test_a_disabled_and_a_deleted_row_end_a_flow(scene: Scene) -> None:
    scene.sql(insert("mail"), insert("orders"))
    await scene.advance(60)
    scene.sql(
        "UPDATE scheduled_job SET enabled = 0 WHERE job_id = 'mail'",
        "DELETE FROM scheduled_job WHERE job_id = 'orders'",
    )
    await scene.advance(180)
    assert (scene.fires("mail"), scene.windows("orders")) == ([at(13)], hours(11, 13))


async def test_parameters_are_changed_by_update_and_broken_ones_never_reach_a_run(scene: Scene) -> None:
    scene.sql(
        insert("mail"), """INSERT INTO job_config(job_id, config_json) VALUES ('mail', '{"region": "us"}')"""
    )
    await scene.advance(60)
    for text in ('{"region": "jp"}', '{"region": 5}', "{region"):
        scene.sql(f"UPDATE job_config SET config_json = '{text}' WHERE job_id = 'mail'")
        await scene.advance(60)
    texts = [order.version.text for order in scene.runs.orders if order.version is not None]
    assert texts == ['{"region": "us"}', '{"region": "jp"}', '{"region": "jp"}', '{"region": "jp"}']
    kept = scene.sql("SELECT config_json, refused FROM job_config_version ORDER BY id")
    assert [bool(refused) for _, refused in kept] == [False, False, True, True]


async def test_the_run_is_told_in_the_existing_systems_columns(scene: Scene) -> None:
    scene.sql(insert("orders"))
    await scene.advance(60)
    rows = scene.sql("SELECT job_id, status, attempt, host, pid, scheduled_time FROM job_run ORDER BY run_id")
    assert [row[:5] for row in rows] == [("orders", "SUCCESS", 1, "host", 1)] * 2
    assert rows[1][5].startswith("2026-03-02 13:00:00")
