"""Fires of stateless flows: due, missed, together, put off, and bounded however long nobody planned."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from piko_flow.planning.cron import Cron
from piko_flow.planning.date import Date
from piko_flow.planning.interval import Interval
from piko_flow.planning.stateless import COUNTED, DueFire, FirePolicy, due_at, due_fires, next_due
from piko_flow.planning.trigger import fires, next_fires

MINUTES = Cron("* * * * *")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def at(minute: int) -> datetime:
    return NOON + minute * MINUTE


def test_nothing_is_due_before_the_next_fire() -> None:
    assert due_fires("f", MINUTES, after=NOON, now=at(1) - SECOND, policy=FirePolicy()) == ([], NOON, False)


def test_a_fire_is_due_at_its_instant_and_only_once() -> None:
    rows, until, more = due_fires("f", MINUTES, after=NOON, now=at(1), policy=FirePolicy())
    assert (rows, until, more) == ([DueFire(at(1))], at(1), False)
    assert due_fires("f", MINUTES, after=until, now=at(1), policy=FirePolicy()) == ([], at(1), False)


def test_fires_that_wait_together_become_one_row_with_range_and_count() -> None:
    rows, until, _ = due_fires("f", MINUTES, after=NOON, now=at(4) + SECOND, policy=FirePolicy())
    assert (rows, until) == ([DueFire(at(4), fires=4, first=at(1))], at(4))


def test_without_coalescing_each_fire_is_a_row_in_order() -> None:
    policy = FirePolicy(coalesce=False)
    rows, until, _ = due_fires("f", MINUTES, after=NOON, now=at(3), policy=policy)
    assert (rows, until) == ([DueFire(at(1)), DueFire(at(2)), DueFire(at(3))], at(3))


def test_fires_older_than_the_grace_are_one_row_that_is_only_recorded() -> None:
    for coalesce in (True, False):
        policy = FirePolicy(grace=5 * MINUTE, coalesce=coalesce)
        rows, until, _ = due_fires("f", MINUTES, after=NOON, now=at(10), policy=policy)
        assert rows[0] == DueFire(at(4), fires=4, first=at(1), missed=True)
        assert [row.at for row in rows[1:]] == ([at(10)] if coalesce else [at(m) for m in range(5, 11)])
        assert sum(row.fires for row in rows) == 10
        assert until == at(10)


def test_a_fire_is_missed_only_when_it_is_later_than_the_grace_not_at_it() -> None:
    policy = FirePolicy(grace=MINUTE)
    trigger = Interval(hours=1)
    on_time = due_fires("f", trigger, after=NOON, now=NOON + HOUR + MINUTE, policy=policy)
    late = due_fires(
        "f", trigger, after=NOON, now=NOON + HOUR + MINUTE + timedelta(microseconds=1), policy=policy
    )
    assert on_time[0] == [DueFire(NOON + HOUR)]
    assert late[0] == [DueFire(NOON + HOUR, missed=True)]


def test_no_grace_is_one_second() -> None:
    policy = FirePolicy(grace=timedelta(0))
    assert due_fires("f", MINUTES, after=NOON, now=at(1) + SECOND, policy=policy)[0] == [DueFire(at(1))]
    late = due_fires("f", MINUTES, after=NOON, now=at(1) + 2 * SECOND, policy=policy)
    assert late[0] == [DueFire(at(1), missed=True)]


def test_rows_are_bounded_a_step_and_the_next_step_goes_on() -> None:
    policy = FirePolicy(grace=DAY, coalesce=False, bound=7)
    after, found, steps, more = NOON, list[datetime](), 0, True
    while more:
        rows, after, more = due_fires("f", MINUTES, after=after, now=at(60), policy=policy)
        assert len(rows) <= 7
        found += [row.at for row in rows]
        steps += 1
    assert found == next_fires(MINUTES, after=NOON, n=60)
    assert steps == 9


def test_a_year_of_missed_seconds_is_one_step_whose_range_is_exact() -> None:
    year = 365 * DAY
    policy = FirePolicy()
    crons, until, more = due_fires("f", Cron("* * * * * *"), after=NOON, now=NOON + year, policy=policy)
    assert [(row.first, row.at, row.fires) for row in crons] == [
        (NOON + SECOND, NOON + year - 301 * SECOND, COUNTED),
        (NOON + year - 300 * SECOND, NOON + year, 301),
    ]
    assert (until, more) == (NOON + year, False)
    intervals, _, _ = due_fires("f", Interval(seconds=1), after=NOON, now=NOON + year, policy=policy)
    assert sum(row.fires for row in intervals) == 365 * 86_400


def test_a_date_fires_once_and_never_again() -> None:
    trigger = Date(NOON + HOUR)
    rows, until, _ = due_fires("f", trigger, after=NOON, now=NOON + HOUR, policy=FirePolicy())
    assert rows == [DueFire(NOON + HOUR)]
    assert due_fires("f", trigger, after=until, now=NOON + DAY, policy=FirePolicy())[0] == []
    assert next_due("f", trigger, after=until, jitter=timedelta(0)) is None


def test_a_delay_lies_within_the_jitter_and_is_the_same_wherever_it_is_drawn() -> None:
    delays = [due_at("f", fire, MINUTE) - fire for fire in next_fires(MINUTES, after=NOON, n=500)]
    assert all(timedelta(0) <= delay <= MINUTE for delay in delays)
    assert delays == [due_at("f", fire, MINUTE) - fire for fire in next_fires(MINUTES, after=NOON, n=500)]
    assert max(delays) - min(delays) > 50 * SECOND
    assert [due_at("g", fire, MINUTE) - fire for fire in next_fires(MINUTES, after=NOON, n=500)] != delays
    assert due_at("f", NOON, timedelta(0)) == NOON


def test_a_jitter_of_days_puts_off_by_days() -> None:
    jitter = timedelta(days=400)
    delays = [due_at("f", at(hour), jitter) - at(hour) for hour in range(50)]
    assert all(timedelta(0) <= delay <= jitter for delay in delays)
    assert max(delays) - min(delays) > jitter / 2


def test_fires_keep_their_order_though_jitter_would_change_it() -> None:
    jitter, policy = HOUR, FirePolicy(coalesce=False, jitter=HOUR)
    after, found = NOON, list[datetime]()
    for second in range(0, 4 * 3600, 20):
        now = NOON + second * SECOND
        rows, after, _ = due_fires("f", MINUTES, after=after, now=now, policy=policy)
        assert all(due_at("f", row.at, jitter) <= now and not row.missed for row in rows)
        found += [row.at for row in rows]
    assert all(earlier + MINUTE == later for earlier, later in pairwise(found))
    assert len(found) >= 170


def test_coalescing_with_jitter_takes_all_that_are_due_and_no_more() -> None:
    jitter, policy = HOUR, FirePolicy(jitter=HOUR, grace=DAY)
    now = NOON + 5 * HOUR
    (row,), until, more = due_fires("f", MINUTES, after=NOON, now=now, policy=policy)
    assert row.fires == (row.at - NOON) // MINUTE
    assert (until, more) == (row.at, False)
    following = next(fires(MINUTES, after=until))
    assert due_at("f", following, jitter) > now
    assert next_due("f", MINUTES, after=until, jitter=jitter) == (
        following,
        due_at("f", following, jitter),
    )


def test_the_grace_of_a_jittered_fire_counts_from_the_end_of_the_jitter() -> None:
    policy = FirePolicy(grace=MINUTE, jitter=HOUR)
    trigger = Interval(days=1)
    fire = trigger.next_after(NOON)
    assert fire is not None
    assert due_fires("f", trigger, after=NOON, now=fire + HOUR + MINUTE, policy=policy)[0] == [DueFire(fire)]
    late = due_fires("f", trigger, after=NOON, now=fire + HOUR + 2 * MINUTE, policy=policy)[0]
    assert late == [DueFire(fire, missed=True)]
