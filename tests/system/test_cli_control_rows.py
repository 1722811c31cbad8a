"""Schedules, parameters and the database from the command line."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from piko_flow.cli.main import app
from tests.system.command import piko
from tests.system.control_command import PACKAGE, Desk, Done


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A folder with an empty database."""
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path)
    assert "are of version" in desk.does("db", "init").out
    return desk


def test_without_a_database_nothing_is_made_and_the_message_says_what_makes_it(tmp_path: Path) -> None:
    told = piko("run", "list", folder=tmp_path)
    assert (told.returncode, told.stdout) == (1, "")
    assert "piko-flow db init" in told.stderr
    assert str(tmp_path) in told.stderr
    assert list(tmp_path.iterdir()) == []
    made = piko("db", "init", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert piko("run", "list", folder=tmp_path).stdout == "no run\n"


LOOKS = [
    ("run", "list"),
    ("flow", "list"),
    ("schedule", "list"),
    ("params", "history", "sync_orders"),
    ("backfill", "list"),
    ("audit", "list"),
    ("leader", "show"),
    ("explain", "1"),
    ("db", "prune"),
]


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_a_database_of_somebody_else_is_refused_and_left_as_it_is(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    desk, before = _with_file_of_another(tmp_path)
    told = desk.refused(*words)
    assert "has no table of Piko Flow; piko-flow db init makes them, and so does serve" in told
    assert (tmp_path / "flows.db").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["flows.db"]


def test_a_check_leaves_a_database_of_somebody_else_as_it_is(tmp_path: Path) -> None:
    desk, before = _with_file_of_another(tmp_path)
    assert "no database yet" in desk.does("check", PACKAGE).lines[-1]
    done = desk.run("db", "check")
    assert (done.code, "no tables of this library" in done.out) == (1, True)
    assert (tmp_path / "flows.db").read_bytes() == before


def test_tables_are_made_beside_those_of_somebody_else_where_they_are_asked_for(tmp_path: Path) -> None:
    desk, _ = _with_file_of_another(tmp_path)
    desk.does("db", "init")
    assert desk.does("run", "list").out == "no run\n"
    with closing(sqlite3.connect(tmp_path / "flows.db")) as connection:
        assert connection.execute("SELECT name FROM theirs").fetchall() == [("kept",)]


def test_tables_of_an_older_version_are_brought_up_to_date_by_looking(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "flows.db")) as connection, connection:
        connection.execute("CREATE TABLE job_lock_of_theirs (id INTEGER)")
        connection.execute("CREATE TABLE piko_flow_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    desk = Desk(tmp_path)
    assert desk.does("run", "list").out == "no run\n"
    assert desk.json("db", "check") == {"differences": []}


def _with_file_of_another(folder: Path) -> tuple[Desk, bytes]:
    file = folder / "flows.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE theirs (name TEXT)")
        connection.execute("INSERT INTO theirs VALUES ('kept')")
    return Desk(folder), file.read_bytes()


def test_tables_that_are_as_they_should_be_pass_the_check(desk: Desk) -> None:
    assert "as they should be" in desk.does("db", "check").out
    assert desk.json("db", "check") == {"differences": []}
    assert desk.json("db", "upgrade")["version"]
    assert desk.does("db", "prune", "--days", "1").out == "0 runs are deleted\n"


def test_a_schedule_is_set_listed_paused_resumed_and_deleted(desk: Desk) -> None:
    done = desk.does(
        "schedule",
        "set",
        "send_mail",
        "--interval",
        "minutes=10,start_date=2026-01-01",
        "--max-instances",
        "2",
    )
    assert "schedule every 10 minutes, from 2026-01-01 00:00:00 (UTC)" in done.lines
    desk.does("schedule", "set", "sync_orders", "--cron", "30 2 * * *", "--zone", "Europe/Berlin")
    rows = desk.json("schedule", "list")["schedules"]
    assert [(one["row"]["flow"], one["standing"], one["trigger"]) for one in rows] == [
        ("send_mail", "active", "every 10 minutes, from 2026-01-01 00:00:00 (UTC)"),
        ("sync_orders", "active", "30 2 * * * (Europe/Berlin)"),
    ]
    assert desk.does("schedule", "pause", "sync_orders").out == "sync_orders is paused\n"
    assert desk.does("schedule", "pause", "sync_orders").out == "sync_orders is already paused\n"
    listed = desk.does("schedule", "list").lines
    assert listed[-1] == "sync_orders 30 2 * * * (Europe/Berlin) paused - 1 default 1"
    assert desk.does("schedule", "resume", "sync_orders").out == "sync_orders is resumed\n"
    assert desk.json("schedule", "pause", "--all") == {"flow": None, "paused": True, "changed": True}
    assert "schedule resume --all" in desk.does("schedule", "resume", "sync_orders").out
    desk.does("schedule", "resume", "--all")
    desk.does("schedule", "delete", "send_mail")
    assert len(desk.json("schedule", "list")["schedules"]) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("schedule", "set", "send_mail", "--cron", "61 * * * *"), "61"),
        (("schedule", "set", "sync_orders", "--zone", "Europe/Berln"), "Did you mean 'Europe/Berlin'"),
        (("schedule", "set", "sync_order", "--disable"), "did you mean 'sync_orders'"),
        (("schedule", "delete", "send_mail"), "there is none"),
        (("params", "set", "sync_orders", "limit=many"), "limit: Input should be a valid integer"),
        (("params", "rollback", "sync_orders", "7"), "params history sync_orders"),
        (("explain", "sync_order"), "did you mean 'sync_orders'"),
        (("leader", "resign"), "nobody holds it"),
    ],
)
def test_a_mistake_is_told_in_one_message(desk: Desk, words: tuple[str, ...], told: str) -> None:
    assert told in desk.refused(*words)


@pytest.mark.parametrize(
    "words",
    [
        ("schedule", "set", "send_mail", "--cron", "@daily", "--date", "2026-01-01"),
        ("schedule", "set", "send_mail", "--type", "cron"),
        ("schedule", "set", "send_mail", "--interval", "10"),
        ("schedule", "pause"),
        ("schedule", "pause", "send_mail", "--all"),
        ("schedule", "preview", "sync_orders", "--after", "soon"),
        ("trigger", "sync_orders", "--window", "2026-01-01"),
        ("trigger", "sync_orders", "--window", "2026-01-02..2026-01-01"),
        ("trigger", "sync_orders", "--param", "limit"),
        ("trigger", "sync_orders", "--params", "[1]"),
        ("run", "show", "first"),
    ],
)
def test_wrong_usage_ends_with_2(desk: Desk, words: tuple[str, ...]) -> None:
    assert desk.run(*words).code == 2


def test_a_preview_marks_what_the_clock_shifts_and_doubles_in_the_flows_zone(desk: Desk) -> None:
    words = ("schedule", "preview", "sync_orders", "--cron", "30 2 * * *", "-n", "2")
    spring = desk.does(*words, "--zone", "Europe/Berlin", "--after", "2026-03-28 12:00").lines
    assert spring[1:] == [
        "Europe/Berlin",
        "2026-03-29 03:00 shifted: the clock skips its time",
        "2026-03-30 02:30",
    ]
    autumn = desk.json(*words, "--zone", "Europe/Berlin", "--after", "2026-10-24 12:00")["preview"]
    assert [one["note"] for one in autumn["fires"]] == ["doubled", ""]
    assert autumn["fires"][0]["fire"] == "2026-10-25T00:30:00+00:00"
    assert desk.json("schedule", "list") == {"schedules": [], "after": None}


def test_parameters_are_set_shown_and_rolled_back_and_no_secret_is_printed(desk: Desk) -> None:
    desk.does("params", "set", "sync_orders", "region=5", "limit=7", "api_token=hush")
    desk.does("params", "set", "sync_orders", "limit=8")
    shown = desk.json("params", "show", "sync_orders")["params"]
    assert shown["values"] == {"region": "5", "limit": 8, "api_token": "******"}
    assert "limit 8" in desk.does("params", "show", "sync_orders").lines
    told = desk.does("params", "rollback", "sync_orders", "1").out
    assert told == "version 3 of the params of sync_orders holds from now on\n"
    later = desk.does("params", "set", "sync_orders", "--params", "{}", "--effective-from", "2099-01-01")
    assert "from 2099-01-01 01:00+01:00 on" in later.out
    history = desk.json("params", "history", "sync_orders")["versions"]
    assert [(one["version"]["version"], one["values"].get("limit")) for one in history] == [
        (4, None),
        (3, 7),
        (2, 8),
        (1, 7),
    ]
    everything = (("params", "show"), ("params", "history"), ("flow", "show"))
    assert not any("hush" in desk.does(*words, "sync_orders").out for words in everything)
    assert not any("hush" in desk.does(*words, "sync_orders", "--json").out for words in everything)


def test_flows_of_code_and_rows_are_listed_with_where_they_stand(desk: Desk) -> None:
    desk.does("schedule", "set", "sync_orders", "--disable")
    lines = desk.does("flow", "list").lines
    assert lines[0].startswith("flow health next (Europe/Berlin) live gaps last due schedule")
    assert lines[1:] == [
        "send_mail unscheduled - - - - - -",
        "sync_orders disabled - - - - - 0 * * * * (Europe/Berlin)",
    ]
    shown = desk.does("flow", "show", "sync_orders").lines
    assert "about Copy the orders that changed." in shown
    assert "kind job, stateful (catch_up)" in shown
    unknown = desk.run("flow", "list", package=None)
    assert unknown.lines[1].startswith("sync_orders code not given (-p)")
    assert "replicas may have it, and flows without a row are not listed" in unknown.err
    assert "was a package given? Name it with -p/--package or in PIKO_PACKAGES" in unknown.err
    rows = desk.run("schedule", "list", package=None)
    assert "code not given (-p)" in rows.lines[1]
    assert "was a package given?" in rows.err
    told = "'sync_orders' is not registered here, for no package was given: its code is not here"
    assert told in " ".join(desk.run("explain", "sync_orders", package=None).out.split())
    assert desk.does("flow", "list").err == ""


@pytest.mark.parametrize("what", ["run", "dead-letter", "backfill"])
def test_who_lists_what_there_is_of_a_flow_that_is_none_is_told_the_nearest_name(
    desk: Desk, what: str
) -> None:
    def listed(*words: str) -> Done:
        found = desk.run(what, "list", *words, package=None)
        assert (found.code, found.out) == (0, f"no {what.replace('-', ' ')}\n")
        return found

    desk.does("schedule", "list")
    assert listed("--flow", "sync_order").err == ""  # nobody knows any flow
    desk.does("schedule", "set", "sync_orders", "--disable")
    told = "note: nothing is known here of a flow"
    assert listed("--flow", "sync_order").err == f"{told} 'sync_order'; did you mean 'sync_orders'?\n"
    assert listed("--flow", "zoo").err == f"{told} 'zoo'; there are: sync_orders\n"
    assert listed("--flow", "sync_orders").err == listed().err == ""


def test_the_code_that_is_given_and_runs_that_were_tell_which_flows_are_known(desk: Desk) -> None:
    assert desk.does("run", "list", "--flow", "send_mails").err.endswith("did you mean 'send_mail'?\n")
    desk.does("schedule", "set", "sync_orders", "--disable")
    desk.does("trigger", "send_mail")
    assert desk.run("backfill", "list", "--flow", "send_mail", package=None).err == ""


def test_who_lists_flows_that_wait_for_a_leader_is_told_that_nobody_leads(desk: Desk) -> None:
    told = "note: no replica leads, so nothing is planned"
    desk.does("schedule", "set", "sync_orders", "--enable")
    assert desk.does("flow", "list").err.startswith(told)
    assert desk.does("flow", "list", "--json").err == ""
    desk.does("schedule", "pause", "sync_orders")
    assert desk.does("flow", "list").err == ""
    desk.does("trigger", "send_mail")
    assert desk.does("flow", "list").err.startswith(told)


def test_a_page_of_flows_without_code_does_not_say_that_no_code_was_given(desk: Desk, tmp_path: Path) -> None:
    desk.does("schedule", "set", "sync_orders", "--disable")
    with closing(sqlite3.connect(tmp_path / "flows.db")) as database, database:
        database.execute("UPDATE scheduled_job SET job_id = 'zoo_gone' WHERE job_id = 'sync_orders'")
    for command in (("flow", "list", "--after", "sync_orders"), ("schedule", "list")):
        listed = desk.does(*command)
        assert listed.lines[1].startswith("zoo_gone")
        assert "unregistered" in listed.lines[1]
        assert listed.err == ""


def test_a_check_finds_what_is_wrong_in_flows_and_rows(desk: Desk, tmp_path: Path) -> None:
    assert desk.does("check", PACKAGE).out == "2 flows, 0 rows: nothing wrong\n"
    assert desk.does("check").lines[0] == "note no flow is registered: name a package, or set PIKO_PACKAGES"
    (tmp_path / "wrong.py").write_text("raise ValueError('not today')\n")
    assert "ValueError: not today (wrong.py:1)" in desk.refused("check", "./wrong.py")
    (tmp_path / "odd_flows.py").write_text(
        "from piko_flow.control.flows.flow import Flow\n"
        "@Flow.register('odd')\n"
        "def odd(run):\n"
        "    return run.nothing\n"
    )
    done = desk.run("check", "odd_flows")
    assert done.code == 1
    assert "wrong flow odd: its pipeline cannot be built" in " ".join(done.out.split())


@pytest.mark.parametrize("command", ["explain", "graph"])
def test_a_flow_where_a_pipeline_is_wanted_is_told_to_be_one(command: str) -> None:
    result = CliRunner().invoke(
        app, [command, "tests.system.control_flows:sync_orders"], prog_name="piko-flow"
    )
    assert result.exit_code == 1
    assert "is the flow 'sync_orders'" in result.stderr
    assert "piko-flow explain sync_orders --package tests.system.control_flows" in result.stderr
