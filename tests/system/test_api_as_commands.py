"""The API tells the same as commands do with --json, document by document."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from piko_flow.clock import SystemClock
from piko_flow.control.flows.discovery import discover
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.options import ReplicaOptions
from piko_flow.store.opening import open_store
from piko_flow.store.ops_records import Role
from tests.system.control_command import PACKAGE, Desk
from tests.unit.api_worlds import api_world

SAME = [
    (("flow", "list"), "/flows"),
    (("flow", "show", "sync_orders"), "/flows/sync_orders"),
    (("schedule", "list"), "/schedules"),
    (("schedule", "preview", "sync_orders", "--after", "2026-03-28 00:00"), "/schedules/sync_orders/preview"),
    (("run", "list"), "/runs"),
    (("run", "show", "1"), "/runs/1"),
    (("explain", "1"), "/runs/1/explanation"),
    (("explain", "send_mail"), "/flows/send_mail/explanation"),
    (("params", "show", "sync_orders"), "/flows/sync_orders/params"),
    (("params", "history", "sync_orders"), "/flows/sync_orders/params/history"),
    (("backfill", "list"), "/backfills"),
    (("dead-letter", "list"), "/dead-letters/groups"),
    (("leader", "show"), "/leader"),
    (("audit", "list"), "/audit"),
]
AFTER = "2026-03-27T23:00:00+00:00"  # the same as the command's, which is read in the flow's zone
MOVING = {"now", "next_fires"}


def still(value: Any) -> Any:
    """The value without what is another a moment later, and without sentences, which tell times in the viewer's zone."""
    if isinstance(value, dict):
        return {name: still(item) for name, item in value.items() if name not in {*MOVING, "text", "advice"}}
    return [still(item) for item in value] if isinstance(value, list) else value


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A database with something of everything."""
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path)
    desk.does("db", "init")
    desk.does("schedule", "set", "sync_orders", "--cron", "0 * * * *", "--zone", "Europe/Berlin")
    desk.does("trigger", "send_mail")
    desk.does("run", "cancel", "1")
    desk.does("params", "set", "sync_orders", "limit=3", "api_token=hush")
    desk.does("backfill", "apply", "sync_orders", "2026-01-01..2026-01-02", "--kind", "all", "--yes")
    desk.does("schedule", "pause", "sync_orders")
    return desk


async def told(database: str) -> dict[str, Any]:
    """What the API answers at each of the addresses."""
    registry: Registry[Flow] = Registry()
    discover(PACKAGE, registry=registry)
    store = await open_store(database)
    try:
        plane = ControlPlane(store=store, registry=registry, options=ReplicaOptions(), clock=SystemClock())
        async with api_world(plane) as world:
            world.visit(Role.ADMIN)
            given = {"/schedules/sync_orders/preview": {"after": AFTER}}
            return {path: await world.get(path, params=given.get(path)) for _, path in SAME}
    finally:
        await store.close()


def test_the_documents_are_the_same(desk: Desk) -> None:
    documents = asyncio.run(told(desk.database))
    assert "hush" not in repr(documents)
    for words, path in SAME:
        package = None if words[0] == "dead-letter" else PACKAGE
        done = desk.run(*words, "--json", package=package)
        assert done.code == 0, done.err
        printed, answered = still(json.loads(done.out)), still(documents[path])
        if path == "/runs/1":  # besides the run it has what its stages have done, which tables do not show
            assert (answered.pop("reports"), answered.pop("live")) == ({}, None)
        assert answered == printed, path
        assert printed, path
