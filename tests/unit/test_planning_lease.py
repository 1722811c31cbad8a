"""How long a lease is trusted, and which ended runs go."""

from datetime import UTC, datetime, timedelta

import pytest

from piko_flow.planning.lease import renew_every, trusted_until
from piko_flow.planning.retention import EndedRun, Retention, expired

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def test_a_lease_is_trusted_from_before_it_was_asked_for_and_less_than_its_time() -> None:
    assert trusted_until(100.0, 10 * SECOND, 2 * SECOND) == 108.0


def test_a_margin_longer_than_the_lease_means_it_is_not_trusted_at_all() -> None:
    assert trusted_until(100.0, 10 * SECOND, 60 * SECOND) == 100.0
    assert trusted_until(100.0, 10 * SECOND, -60 * SECOND) == 110.0


def test_two_renewals_may_fail_before_the_lease_is_lost() -> None:
    assert 2 * renew_every(9 * SECOND) < 9 * SECOND


def test_runs_that_ended_too_long_ago_are_deleted_oldest_first() -> None:
    runs = [EndedRun(number, "f", NOW - (10 - number) * DAY) for number in range(10)]
    before = Retention(age=3 * DAY).before(NOW)
    assert expired(runs, before=before, keep=100, limit=100) == [0, 1, 2, 3, 4, 5, 6]


def test_of_each_flow_no_more_than_the_newest_are_kept() -> None:
    runs = [EndedRun(number, "fg"[number % 2], NOW) for number in range(10)]
    assert expired(runs, before=NOW - DAY, keep=3, limit=100) == [0, 1, 2, 3]


def test_one_step_of_deleting_is_bounded() -> None:
    runs = [EndedRun(number, "f", NOW - 9 * DAY) for number in range(10)]
    assert expired(runs, before=NOW, keep=100, limit=4) == [0, 1, 2, 3]


def test_a_retention_that_keeps_nothing_is_refused() -> None:
    for age, keep in ((timedelta(0), 5), (DAY, 0)):
        with pytest.raises(ValueError, match="must be above 0"):
            Retention(age=age, keep=keep)
