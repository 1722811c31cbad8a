"""Runs, triggers, backfills and leadership from the command line, with and without a replica at work."""

import re
from pathlib import Path

import pytest

from piko_flow.cli.main import app
from tests.system.command import piko, piko_json, started
from tests.system.control_command import Desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A folder with a database in which `sync_orders` has a schedule; nobody leads."""
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path)
    desk.does("db", "init")
    desk.does("schedule", "set", "sync_orders", "--cron", "0 * * * *", "--zone", "Europe/Berlin")
    return desk


DAY = "2026-01-01..2026-01-02"


def test_a_dry_run_shows_what_a_trigger_would_do_and_queues_nothing(desk: Desk) -> None:
    words = (
        "trigger",
        "sync_orders",
        "--window",
        DAY,
        "--param",
        "limit=3",
        "--param",
        "region=7",
        "--dry-run",
    )
    assert desk.does(*words).lines == [
        "would run sync_orders",
        "window 2026-01-01 .. 2026-01-02",
        "times in Europe/Berlin",
        'params {"region": "7", "limit": 3, "api_token": "******"}',
    ]
    plan = desk.json(*words)["plan"]
    assert plan["window"] == {"start": "2025-12-31T23:00:00+00:00", "end": "2026-01-01T23:00:00+00:00"}
    assert desk.json("run", "list") == {"runs": [], "before": None}


def test_a_triggered_run_is_listed_shown_explained_cancelled_and_retried(desk: Desk) -> None:
    words = ("trigger", "sync_orders", "--window", DAY, "--params", '{"api_token": "hush"}', "--key", "first")
    queued = desk.does(*words)
    assert queued.out == (
        "run 1 of sync_orders over 2026-01-01 00:00+01:00 .. 2026-01-02 00:00+01:00 is QUEUED\n"
    )
    assert queued.err.startswith("note: no replica leads, so nothing is planned")
    assert desk.json(*words)["run"]["id"] == 1
    listed = desk.does("run", "list", "--flow", "sync_orders", "--status", "queued").lines
    assert listed[1] == "1 sync_orders QUEUED 2026-01-01 .. 2026-01-02 - 1 -"
    shown = desk.does("run", "show", "1")
    assert "params the model's defaults, with api_token given" in shown.lines
    assert "hush" not in shown.out + desk.does("run", "show", "1", "--json").out
    explained = desk.does("explain", "1").lines
    assert explained[0] == "run 1 of sync_orders: QUEUED (times in Europe/Berlin)"
    assert explained[1].startswith("no_leader no replica leads")
    assert desk.does("run", "cancel", "1").out == "run 1 of sync_orders is cancelled\n"
    retried = desk.does("run", "retry", "1")
    assert retried.out == "run 1 of sync_orders is queued for attempt 2\n"
    assert "no replica leads" in retried.err
    assert "it is QUEUED" in desk.refused("run", "retry", "1")
    attempts = desk.does("run", "show", "1").lines
    assert [line[:2] for line in attempts if line.startswith(("1 ", "2 "))] == ["1 "]
    desk.does("run", "cancel", "1")
    attempts = desk.does("run", "show", "1").lines
    assert [line[:2] for line in attempts if line.startswith(("1 ", "2 "))] == ["1 ", "2 "]


def test_runs_are_listed_by_pages(desk: Desk) -> None:
    for _ in range(3):
        desk.does("trigger", "send_mail")
    first = desk.json("run", "list", "--limit", "2")
    rest = desk.json("run", "list", "--limit", "2", "--before", str(first["before"]))
    assert [run["id"] for run in first["runs"] + rest["runs"]] == [3, 2, 1]
    assert "more with --before 2" in desk.does("run", "list", "--limit", "2").err


def test_a_wait_that_is_over_before_the_run_ends_with_1_and_tells_what_it_waited_for(desk: Desk) -> None:
    done = desk.run("trigger", "send_mail", "--wait", "--timeout", "0.1")
    assert done.code == 1
    assert "no replica leads" in done.err
    assert "is QUEUED" in done.out


def test_a_backfill_is_planned_applied_paused_resumed_and_cancelled(desk: Desk) -> None:
    words = ("sync_orders", DAY, "--concurrency", "3", "--newest-first")
    planned = desk.does("backfill", "plan", *words).lines
    assert "windows 24, newest first, 3 at once" in planned
    assert "... 17 more" in planned
    digest = desk.json("backfill", "plan", *words)["plan"]["digest"]
    assert any(digest in line for line in planned)
    assert "nobody is there to be asked" in desk.refused("backfill", "apply", *words)
    assert "and not 0123" in desk.refused("backfill", "apply", *words, "--plan", "0123")
    applied = desk.does("backfill", "apply", *words, "--plan", digest)
    assert applied.out == "backfill 1 of sync_orders runs 24 windows, 3 at once\n"
    assert applied.err.startswith("note: no replica leads, so nothing is planned")
    assert desk.does("backfill", "pause", "1").out == "backfill 1 of sync_orders is paused\n"
    assert "backfill 1 is paused with 24 windows left" in desk.does("explain", "sync_orders").out
    assert desk.does("backfill", "resume", "1").err.startswith("note: no replica leads")
    (listed,) = desk.json("backfill", "list", "--open")["backfills"]
    assert (listed["done"], listed["left"], listed["backfill"]["state"]) == (0.0, 24, "running")
    assert desk.does("backfill", "cancel", "1").err == ""
    assert "it is cancelled" in desk.refused("backfill", "resume", "1")
    assert desk.does("backfill", "list", "--open").out == "no backfill\n"
    assert "1 sync_orders cancelled missing" in " ".join(desk.does("backfill", "list").out.split())
    assert desk.json("backfill", "apply", *words, "--yes")["backfill"]["id"] == 2


def test_a_pipeline_still_runs_and_explains_itself_under_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(
        "from piko_flow import Sink, Source\npipeline = Source(range(3)) >> Sink(str)\n"
    )
    assert piko("run", "flows:pipeline", folder=tmp_path).returncode == 0
    assert "Source" in piko("explain", "flows", folder=tmp_path).stdout
    assert "run list, run show" in " ".join(piko("run", "--help", folder=tmp_path).stdout.split())


def test_every_command_has_words_for_its_help() -> None:
    from typer.main import get_command

    def silent(command: object, path: str) -> list[str]:
        inner = getattr(command, "commands", {})
        own = [] if getattr(command, "help", "") else [path]
        return own + [found for name, one in inner.items() for found in silent(one, f"{path} {name}")]

    assert silent(get_command(app), "piko-flow") == []


FLOWS = """
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.run_context import RunContext

@Flow.register("hello")
async def hello(run: RunContext) -> None:
    print("said by a flow")

@Flow.register("fails")
async def fails(run: RunContext) -> None:
    raise KeyError("no such order")
"""


def test_a_replica_at_work_runs_what_commands_ask_for_and_resigns_when_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(FLOWS)
    with started("serve", "flows", "--port", "0", folder=tmp_path) as serving:
        assert serving.process.stderr is not None
        serving.wait_for("leads in term 1", serving.process.stderr)
        done = piko("trigger", "hello", "--wait", "--package", "flows", folder=tmp_path)
        assert (done.returncode, done.stdout) == (0, "run 1 of hello is SUCCESS\n"), done.stderr
        failed = piko("trigger", "fails", "--wait", "--package", "flows", folder=tmp_path)
        assert failed.returncode == 1
        assert "is FAILED: KeyError" in failed.stdout
        explained = piko("explain", "2", "--package", "flows", folder=tmp_path).stdout
        assert re.search(r"error +it ended as FAILED at .*: KeyError: .*no such order", explained)
        (replica,) = piko_json("leader", "show", folder=tmp_path)["leader"]["replicas"]
        assert replica["pid"] == serving.process.pid
        assert piko("leader", "resign", folder=tmp_path).returncode == 0
        serving.wait_for("leads in term 2", serving.process.stderr)
