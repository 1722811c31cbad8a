"""One rule for times on the command line: the zone of the computer, named once; UTC if asked for, and in JSON always."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from piko_flow.cli.main import app
from tests.system.control_command import Desk

DAY = "2026-01-01..2026-01-02"
SHOWN = "2025-12-31 18:00 .. 2026-01-01 18:00"  # that day of Berlin, in New York
WITH_TIMES = {
    "audit list",
    "backfill apply",
    "backfill list",
    "backfill plan",
    "dead-letter list",
    "dead-letter show",
    "explain",
    "flow list",
    "flow show",
    "leader show",
    "params history",
    "params rollback",
    "params set",
    "params show",
    "runs list",
    "runs show",
    "schedule list",
    "schedule preview",
    "schedule set",
    "token list",
    "trigger",
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A computer in New York; its flow follows the clock of Berlin, and has a run, a backfill and params to come."""
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path)
    desk.zone = "America/New_York"
    desk.does("db", "init")
    desk.does("schedule", "set", "sync_orders", "--cron", "0 * * * *", "--zone", "Europe/Berlin")
    desk.does("params", "set", "sync_orders", "limit=7", "--effective-from", "2099-01-01")
    desk.does("trigger", "sync_orders", "--window", DAY)
    desk.does("backfill", "apply", "sync_orders", "2026-01-03..2026-01-04", "--yes")
    return desk


VERBS = [
    ("backfill list", "2026-01-02 18:00 .. 2026-01-03 18:00"),
    (f"backfill plan sync_orders {DAY} --kind all", "2025-12-31 18:00 .. 19:00"),
    ("explain sync_orders", "America/New_York"),
    ("flow list", ":00"),
    ("flow show sync_orders", ":00"),
    ("leader show", "now"),
    ("params history sync_orders", "2098-12-31 18:00"),
    ("params show sync_orders", "version 1 from 2098-12-31 18:00 on"),
    ("run list", SHOWN),
    ("run show 1", SHOWN),
    ("schedule list", ":00"),
    ("schedule preview sync_orders -n 1 --after 2026-01-01", "2025-12-31 19:00 2026-01-01 01:00"),
    ("schedule set sync_orders --enable", ":00"),
    ("trigger sync_orders --window 2026-01-07..2026-01-08 --dry-run", "2026-01-06 18:00 .. 2026-01-07 18:00"),
]


@pytest.mark.parametrize(("verb", "told"), VERBS, ids=lambda text: text.split("-")[0].strip())
def test_a_verb_tells_times_of_the_computers_zone_and_names_it_once(desk: Desk, verb: str, told: str) -> None:
    local = " ".join(desk.does(*verb.split()).out.split())
    assert told in local
    assert local.count("America/New_York") == 1
    assert not re.search(r":\d\d[+-]\d\d:\d\d", local)
    in_utc = " ".join(desk.does(*verb.split(), "--utc").out.split())
    assert "America/New_York" not in in_utc
    assert len(re.findall(r"\bUTC\b", in_utc)) == 1
    assert not re.search(r":\d\d[+-]\d\d:\d\d", in_utc)


def moments(value: Any) -> list[str]:
    """All texts of a document that begin like a moment."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) else []
    return own + [found for one in inner for found in moments(one)]


@pytest.mark.parametrize(
    "verb",
    [verb for verb, _ in VERBS if not verb.startswith("explain")],
    ids=lambda text: text.split("-")[0].strip(),
)
def test_a_document_has_utc_with_its_offset_whatever_the_computers_zone_is(desk: Desk, verb: str) -> None:
    found = moments(desk.json(*verb.split()))
    assert found
    assert all(moment.endswith("+00:00") for moment in found)


def test_a_sentence_that_stands_alone_has_offsets(desk: Desk) -> None:
    told = desk.does("trigger", "sync_orders", "--window", "2026-01-05T06:00..2026-01-05T07:00").out
    assert told == "run 2 of sync_orders over 2026-01-05 00:00 .. 01:00-05:00 is QUEUED\n"
    told = desk.does("params", "set", "sync_orders", "limit=8", "--effective-from", "2099-02-01", "--utc").out
    assert "from 2099-01-31 23:00+00:00 on" in told


def test_a_plan_says_in_which_zone_it_read_what_was_written_where_that_is_another(desk: Desk) -> None:
    words = ("trigger", "sync_orders", "--window", "2026-01-07..2026-01-08", "--dry-run")
    assert any(line.startswith("read in Europe/Berlin, ") for line in desk.does(*words).lines)
    desk.zone = "Europe/Berlin"
    assert not any(line.startswith("read in") for line in desk.does(*words).lines)


def test_just_the_verbs_that_tell_times_take_utc() -> None:
    def verbs(command: Any, path: str) -> list[str]:
        inner = getattr(command, "commands", {})
        own = [path.strip()] if any("--utc" in option.opts for option in command.params) else []
        return own + [found for name, one in inner.items() for found in verbs(one, f"{path} {name}")]

    assert set(verbs(get_command(app), "")) == WITH_TIMES
