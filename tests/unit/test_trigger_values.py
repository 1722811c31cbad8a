"""Triggers are values: frozen, compared by what was written, and told in words."""

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from itertools import islice

import pytest

from piko_flow.errors import ScheduleError
from piko_flow.planning.cron import Cron
from piko_flow.planning.date import Date
from piko_flow.planning.interval import Interval
from piko_flow.planning.trigger import Trigger, fires

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)
TRIGGERS = [
    Cron("0 2 * * *", zone="Europe/Berlin"),
    Cron(fields={"hour": 2, "minute": 30}, start_date="2025-01-01", jitter=5),
    Interval(minutes=10, end_date="2030-01-01", zone="Asia/Tokyo"),
    Date("2026-01-08 10:00:00", zone="Asia/Shanghai"),
]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=str)
def test_a_trigger_travels_and_comes_back_equal(trigger: Trigger) -> None:
    back = pickle.loads(pickle.dumps(trigger))
    assert back == trigger
    assert hash(back) == hash(trigger)
    assert list(islice(fires(back, after=NEW_YEAR), 3)) == list(islice(fires(trigger, after=NEW_YEAR), 3))


@pytest.mark.parametrize("trigger", TRIGGERS, ids=str)
def test_a_trigger_cannot_be_changed(trigger: Trigger) -> None:
    with pytest.raises(FrozenInstanceError):
        trigger.zone = "UTC"  # type: ignore[misc]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=str)
def test_its_repr_makes_it_again(trigger: Trigger) -> None:
    assert eval(repr(trigger), {"Cron": Cron, "Interval": Interval, "Date": Date}) == trigger


def test_triggers_are_equal_when_they_say_the_same_in_the_same_way() -> None:
    assert Cron("0 2  * * *") == Cron(" 0 2 * * *")
    assert Cron(fields={"minute": 0, "hour": "2"}) == Cron(fields={"hour": 2, "minute": "0"})
    assert Interval(minutes=60) == Interval(hours=1)
    assert Cron("0 2 * * *") != Cron("0 2 * * *", zone="Europe/Berlin")
    assert Cron("0 2 * * *") != Cron("0 2 * * *", jitter=1)
    assert len({*TRIGGERS, *TRIGGERS}) == len(TRIGGERS)


def test_the_identity_of_a_trigger_leaves_jitter_out_and_nothing_else() -> None:
    assert Cron("0 2 * * *").identity == Cron("0 2 * * *", jitter=9).identity
    assert Cron("0 2 * * *").identity != Cron("0 2 * * *", start_date="2025-01-01").identity
    assert len({trigger.identity for trigger in TRIGGERS}) == len(TRIGGERS)


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (Cron("0 2 * * *", zone="Europe/Berlin"), "0 2 * * * (Europe/Berlin)"),
        (Cron(fields={"minute": 30, "hour": 2}), "hour=2 minute=30 (UTC)"),
        (
            Cron("@daily", start_date="2025-01-01", end_date="2025-02-01", zone="Asia/Tokyo"),
            "@daily, from 2025-01-01 00:00:00, until 2025-02-01 00:00:00 (Asia/Tokyo)",
        ),
        (Interval(hours=1), "every hour (UTC)"),
        (Interval(minutes=90), "every 1 hour 30 minutes (UTC)"),
        (Interval(weeks=1, seconds=0.5), "every 7 days 0.5 seconds (UTC)"),
        (Date("2026-01-08 10:00:00", zone="Asia/Shanghai"), "once at 2026-01-08 10:00:00 (Asia/Shanghai)"),
    ],
)
def test_a_trigger_is_told_in_words(trigger: Trigger, words: str) -> None:
    assert str(trigger) == words


def test_jitter_is_kept_in_seconds_and_moves_no_fire() -> None:
    trigger = Interval(minutes=1, jitter=30)
    assert trigger.jitter == 30.0
    assert trigger.next_after(NEW_YEAR) == datetime(2025, 1, 1, 0, 1, tzinfo=UTC)
    assert Cron("@daily").jitter == 0


def test_an_error_travels() -> None:
    with pytest.raises(ScheduleError) as caught:
        Cron("61 * * * *")
    back = pickle.loads(pickle.dumps(caught.value))
    assert str(back) == str(caught.value)
    assert (back.what, back.got) == ("cron '61 * * * *'", "'61'")


def test_a_crontab_string_does_without_apscheduler() -> None:
    program = (
        "import sys; from piko_flow.planning.trigger_row import trigger_from_row; "
        "trigger_from_row('cron', '{\"cron\": \"@daily\"}'); sys.exit('apscheduler' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
