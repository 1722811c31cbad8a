"""A rate limit: how fast calls go, who goes first, and one limit for several stages, flows and threads."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import pytest

from piko_flow import StageFailed, Transform
from piko_flow.connectors.http import HttpClient, HttpLookup, HttpSource, RateLimit, TurnTooLate
from piko_flow.dataflow.stages.source import Source
from piko_flow.errors import PipelineError
from tests.services.answering import Asked, Told, serving


class Moved:
    """A clock that a test moves; a limit that waits moves it on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = 1000.0
        self._sleep = asyncio.sleep
        monkeypatch.setattr("piko_flow.connectors.rate_limit.monotonic", lambda: self.time)
        monkeypatch.setattr("piko_flow.connectors.rate_limit.asyncio.sleep", self._wait)

    async def _wait(self, seconds: float) -> None:
        self.time += seconds
        await self._sleep(0)


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Moved:
    return Moved(monkeypatch)


async def turns(rate: RateLimit, moved: Moved, count: int) -> list[float]:
    """When each of so many calls had its turn, in seconds after now."""
    began, had = moved.time, list[float]()
    for _ in range(count):
        await rate.turn()
        had.append(round(moved.time - began, 6))
    return had


async def test_calls_are_as_far_apart_as_the_limit_says(moved: Moved) -> None:
    assert await turns(RateLimit(4), moved, 5) == [0.0, 0.25, 0.5, 0.75, 1.0]


async def test_after_a_pause_a_burst_goes_at_once_and_the_rest_at_the_rate(moved: Moved) -> None:
    rate = RateLimit(2, burst=3)
    assert await turns(rate, moved, 5) == [0.0, 0.0, 0.0, 0.5, 1.0]
    moved.time += 60
    assert await turns(rate, moved, 4) == [0.0, 0.0, 0.0, 0.5]


async def test_no_span_holds_more_calls_than_the_rate_and_the_burst_allow(moved: Moved) -> None:
    rate, had = RateLimit(10, burst=4), list[float]()
    for pause in [0.0, 0.05, 0.3, 0.0, 2.0, 0.01] * 20:
        moved.time += pause
        await rate.turn()
        had.append(moved.time)
    for first in range(len(had)):
        for last in range(first, len(had)):
            assert last - first + 1 <= 4 + 10 * (had[last] - had[first]) + 1e-6


async def test_a_hold_delays_every_call_and_no_burst_follows_it(moved: Moved) -> None:
    rate = RateLimit(2, burst=3)
    rate.hold(7)
    rate.hold(1)
    assert await turns(rate, moved, 3) == [7.0, 7.5, 8.0]


async def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    rate, got = RateLimit(1000), list[int]()

    async def call(number: int) -> None:
        await rate.turn()
        got.append(number)

    async with asyncio.TaskGroup() as calls:
        for number in range(20):
            calls.create_task(call(number))
    assert got == list(range(20))


async def test_a_cancelled_call_gives_its_turn_to_the_next() -> None:
    rate = RateLimit(1000)
    rate.hold(3600)
    first, second = asyncio.create_task(rate.turn()), asyncio.create_task(rate.turn())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    rate._held_until = rate._full_at = 0.0
    await second


async def test_nobody_waits_for_longer_than_may_be() -> None:
    rate = RateLimit(1, longest_wait=0.02)
    rate.hold(3600)
    with pytest.raises(TurnTooLate, match=r"waited 0\.02 seconds for a turn under the rate limit"):
        await rate.turn()


async def test_a_limit_that_is_too_slow_fails_the_run() -> None:
    rate = RateLimit(1, longest_wait=0.02)
    rate.hold(3600)
    with serving(lambda asked: Told([])) as service:
        with pytest.raises(StageFailed) as caught:
            await HttpSource(service.url, rate=rate).collect()
        assert service.asked == []
    assert isinstance(caught.value.__cause__, TurnTooLate)


class Counted(RateLimit):
    """Notes on which thread each turn was taken, in order."""

    def __init__(self, per_second: float, **options: Any) -> None:
        super().__init__(per_second, **options)
        self.taken: list[int] = []

    def _take(self) -> float:
        wait = super()._take()
        if wait <= 0:
            self.taken.append(threading.get_ident())
        return wait


def answered(asked: Asked) -> Told:
    return Told([asked.path])


def test_one_limit_holds_for_runs_on_several_threads_and_loops() -> None:
    """Two runs, each on a loop of its own, take turns under one limit, and none of them is shut out."""
    both, begun, found = threading.Barrier(2, timeout=60), set[int](), dict[str, list[Any]]()

    class Together(Counted):
        """Gives no turn before both runs ask for one: one that is ready late would find the other one at its end."""

        async def turn(self) -> None:
            if threading.get_ident() not in begun:
                begun.add(threading.get_ident())
                both.wait()
            await super().turn()

    rate = Together(200)

    with serving(answered) as service:

        def ask(name: str) -> None:
            lookup = HttpLookup[Any](f"/{name}/{{}}", rate=rate)
            stage = Transform(lookup, concurrency=8, uses={"client": HttpClient(service.url)})
            found[name] = asyncio.run((Source(range(60)) >> stage).collect())

        threads = [threading.Thread(target=ask, args=(name,), name=name) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {name: [[f"/{name}/{number}"] for number in range(60)] for name in ("a", "b")}
    assert len(rate.taken) == 120
    changes = sum(one != other for one, other in zip(rate.taken, rate.taken[1:], strict=False))
    assert changes >= 20


async def test_attempts_count_as_calls() -> None:
    rate, told = Counted(1000), [Told(status=503), Told(status=503), Told([1])]
    with serving(lambda asked: told.pop(0)) as service:
        assert await HttpSource(service.url, of=int, rate=rate).collect() == [1]
    assert len(rate.taken) == 3


def test_a_copy_in_another_process_has_a_limit_of_its_own() -> None:
    rate = RateLimit(5, burst=2, longest_wait=3)
    again = pickle.loads(pickle.dumps(rate))
    assert (again.per_second, again.burst, again.longest_wait) == (5, 2, 3.0)
    assert repr(again) == "RateLimit(5, burst=2)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_second": 0}, "per_second must be a number above 0"),
        ({"per_second": True}, "per_second must be a number above 0"),
        ({"per_second": "5"}, "per_second must be a number above 0"),
        ({"per_second": 5, "burst": 0}, "burst must be a whole number of at least 1; got 0"),
        ({"per_second": 5, "longest_wait": -1}, "longest_wait must be a number above 0"),
    ],
)
def test_a_bad_limit_is_refused_where_it_is_made(options: Any, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        RateLimit(**options)
    assert str(caught.value).startswith("RateLimit (tests/unit/test_http_rates.py:")
    assert message in str(caught.value)
