"""The database's time as a replica knows it."""

import asyncio
from datetime import timedelta

from piko_flow.control.timing import DatabaseTime, woken
from piko_flow.testing.manual_clock import ManualClock
from piko_flow.testing.simulated_clock import SimulatedClock

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def wrong_host(*, skew: timedelta = HOUR, rate: float = 1.0) -> tuple[ManualClock, SimulatedClock]:
    """The true time, which is the database's, and a host whose clock is wrong."""
    true = ManualClock()
    return true, SimulatedClock(true, skew=skew, begin=777.0, rate=rate)


def test_before_the_first_answer_the_hosts_clock_is_all_there_is() -> None:
    _, host = wrong_host()
    assert DatabaseTime(host).now() == host.now()


async def test_after_an_answer_the_databases_clock_counts_however_wrong_the_hosts_is() -> None:
    true, host = wrong_host()
    time = DatabaseTime(host)
    time.observe(true.now(), asked=time.asking())
    await true.advance(90)
    assert time.now() == true.now()
    assert time.offset == -HOUR


async def test_setting_the_hosts_clock_moves_nothing() -> None:
    true, host = wrong_host()
    time = DatabaseTime(host)
    time.observe(true.now(), asked=time.asking())
    host.skew = timedelta(days=-400)
    assert time.now() == true.now()


async def test_of_a_slow_exchange_it_is_known_only_what_was_told_so_it_is_never_ahead() -> None:
    true, host = wrong_host()
    time = DatabaseTime(host)
    asked, told = time.asking(), true.now()
    await true.advance(10)  # the answer was ten seconds on its way
    time.observe(told, asked=asked)
    assert time.now() == true.now() - 10 * SECOND


async def test_the_quickest_exchange_counts_and_a_slow_one_takes_nothing_back() -> None:
    true, host = wrong_host()
    time = DatabaseTime(host)
    time.observe(true.now(), asked=time.asking())
    asked, told = time.asking(), true.now()
    await true.advance(10)
    time.observe(told, asked=asked)
    assert time.now() == true.now()


async def test_what_is_known_is_at_most_what_was_told_and_the_length_of_the_exchange() -> None:
    true, host = wrong_host()
    time = DatabaseTime(host)
    time.observe(true.now(), asked=time.asking())
    asked = time.asking()
    await true.advance(2)
    time.observe(true.now() - 60 * SECOND, asked=asked)  # the database's clock was put back by a minute
    assert time.now() == true.now() - 58 * SECOND


async def test_a_database_whose_clock_is_put_forward_is_followed_at_once() -> None:
    true, host = wrong_host()
    time = DatabaseTime(host)
    time.observe(true.now(), asked=time.asking())
    time.observe(true.now() + HOUR, asked=time.asking())
    assert time.now() == true.now() + HOUR


async def test_a_host_whose_clock_runs_too_fast_is_set_right_by_each_answer() -> None:
    true, host = wrong_host(rate=1.001)
    time = DatabaseTime(host)
    for _ in range(100):
        await true.advance(100)
        time.observe(true.now(), asked=time.asking())
        assert time.now() == true.now()
    await true.advance(100)
    assert time.now() - true.now() == timedelta(seconds=0.1)


async def test_who_waits_for_an_event_or_a_time_is_woken_by_the_event_which_is_clear_then() -> None:
    event = asyncio.Event()
    event.set()
    await woken(event, None)
    assert not event.is_set()


async def test_who_waits_no_longer_than_no_time_at_all_is_not_kept() -> None:
    event = asyncio.Event()
    await woken(event, 0.0)
    assert not event.is_set()
