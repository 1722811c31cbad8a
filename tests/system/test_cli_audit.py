"""What was changed is told on the command line, in a table and as JSON."""

import getpass
from pathlib import Path

import pytest

from tests.system.control_command import Desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A folder with an empty database."""
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path)
    desk.does("db", "init")
    return desk


def test_changes_on_the_command_line_are_told_newest_first(desk: Desk) -> None:
    assert desk.does("audit", "list").out == "nothing was changed\n"
    desk.does("schedule", "set", "send_mail", "--interval", "minutes=10,start_date=2026-01-01")
    desk.does("schedule", "pause", "send_mail")
    desk.does("schedule", "pause", "send_mail")
    desk.does("params", "set", "sync_orders", "limit=7")
    params, pause, made = desk.json("audit", "list")["changes"]
    assert [one["action"] for one in (params, pause, made)] == [
        "params.set",
        "schedule.pause",
        "schedule.set",
    ]
    assert params["who"].startswith(f"{getpass.getuser()}@")
    assert (params["via"], params["before"], params["after"]["values"]) == ("cli", None, {"limit": 7})
    assert (pause["before"], pause["after"]) == ({"paused": False}, {"paused": True})
    shown = desk.does("audit", "list", "--subject", "flow send_mail", "--limit", "1")
    assert shown.lines[0].startswith("change at (Europe/Berlin) who")
    assert "schedule.pause flow send_mail paused: false paused: true" in shown.lines[1]
    assert shown.lines[-1] == f"There are more: --before {pause['id']}"
    page = desk.json("audit", "list", "--subject", "flow send_mail", "--before", str(pause["id"]))
    assert (page["changes"], page["before"]) == ([made], None)


def test_without_a_database_there_is_no_audit_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "piko-flow db init" in Desk(tmp_path).refused("audit", "list")
    assert list(tmp_path.iterdir()) == []
