"""Requests to a service: what is tried again and when, what is bounded, and what messages never show."""

from __future__ import annotations

import asyncio
import gzip
import logging
import pickle
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from piko_flow import Retry, StageFailed
from piko_flow.connectors.http import (
    BadAnswer,
    BadStatus,
    HttpClient,
    HttpFailed,
    HttpLookup,
    HttpSource,
    NoAnswer,
    RateLimit,
)
from piko_flow.connectors.retry_after import retry_after
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.errors import PipelineError
from tests.services.answering import Asked, Service, Told, serving
from tests.unit.loop_time import LoopTime

AT_ONCE = Retry(attempts=4, first=0, limit=0)


class Scripted:
    """Gives one answer after the other, the last one for ever."""

    def __init__(self, *told: Told) -> None:
        self.told = list(told)

    def __call__(self, asked: Asked) -> Told:
        return self.told.pop(0) if len(self.told) > 1 else self.told[0]


BUSY = Told({"error": "busy"}, status=503)
FINE = Told([{"a": 1}])


async def items_of(service: Service, path: str = "/", **options: Any) -> list[Any]:
    return await HttpSource(path, client=HttpClient(service.url), **options).collect()


async def failure_of(service: Service, path: str = "/", **options: Any) -> HttpFailed:
    """What the run fails with; its message is that of a HttpFailed."""
    with pytest.raises(StageFailed) as caught:
        await items_of(service, path, **options)
    assert isinstance(caught.value.__cause__, HttpFailed)
    return caught.value.__cause__


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_service_that_is_busy_is_asked_again(status: int) -> None:
    with serving(Scripted(Told(status=status), Told(status=status), FINE)) as service:
        assert await items_of(service, retry=AT_ONCE) == [{"a": 1}]
        assert len(service.asked) == 3


async def test_a_service_that_stays_busy_fails_the_run_after_the_last_attempt() -> None:
    with serving(Scripted(BUSY)) as service:
        error = await failure_of(service, retry=AT_ONCE)
        assert len(service.asked) == 4
    assert isinstance(error, BadStatus)
    assert (error.status, error.passing) == (503, True)
    assert str(error) == f"""GET {service.url}/: status 503, '{{"error": "busy"}}'"""


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
async def test_a_refusal_is_not_asked_again(status: int) -> None:
    with serving(Scripted(Told(b"x" * 5000, status=status))) as service:
        error = await failure_of(service, retry=AT_ONCE)
        assert len(service.asked) == 1
    assert isinstance(error, BadStatus)
    assert (error.status, error.passing) == (status, False)
    assert len(str(error)) < 300  # the body's beginning alone


async def test_redirects_are_not_followed_and_say_where_they_lead() -> None:
    moved = Told(status=301, headers={"location": "/v2/orders?token=hush"})
    with serving(Scripted(moved)) as service:
        error = await failure_of(service, "/orders")
        assert len(service.asked) == 1
    assert str(error) == (
        f"GET {service.url}/orders: status 301, which points to {service.url}/v2/orders?token=******; redirects are "
        "not followed, so name that address"
    )


async def test_a_service_that_cannot_be_reached_is_asked_again_and_then_named() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else gets the port
        port = bound.getsockname()[1]
        source = HttpSource(f"http://127.0.0.1:{port}/orders", retry=AT_ONCE)
        with pytest.raises(StageFailed) as caught:
            await source.collect()
    error = caught.value.__cause__
    assert isinstance(error, NoAnswer)
    assert (error.passing, error.unsent) == (True, True)
    assert str(error).startswith(f"GET http://127.0.0.1:{port}/orders: ConnectError")


async def hang() -> AsyncIterator[bytes]:
    yield b"["
    await asyncio.Event().wait()


@pytest.mark.parametrize("drips", [False, True])
async def test_an_answer_that_does_not_end_is_given_up_and_asked_for_again(
    drips: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = LoopTime(monkeypatch)

    async def endless() -> AsyncIterator[bytes]:
        yield b"["
        for _ in range(3):
            time.leap(7)
            if drips:  # so that no wait for the next byte is long
                await asyncio.sleep(0.01)
                yield b" "
        await asyncio.Event().wait()

    with serving(Scripted(Told(pieces=endless), FINE)) as service:
        assert await items_of(service, retry=AT_ONCE, timeout=20) == [{"a": 1}]
        assert len(service.asked) == 2


async def test_a_service_that_hangs_for_ever_fails_the_run() -> None:
    with serving(Scripted(Told(pieces=hang))) as service:
        error = await failure_of(service, retry=None, timeout=timedelta(seconds=0.2))
    assert str(error).endswith("/: no whole answer within 0.2 seconds")


async def test_a_client_that_waits_too_long_for_a_piece_gives_up() -> None:
    with serving(Scripted(Told(pieces=hang), FINE)) as service:
        client = HttpClient(service.url, timeout=2)
        assert await HttpSource("/", client=client, retry=AT_ONCE).collect() == [{"a": 1}]


async def test_cancelling_drops_a_request_that_hangs() -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hanging(_: Asked) -> Told:
        loop.call_soon_threadsafe(asked.set)
        return Told(pieces=hang)

    with serving(hanging) as service:
        task = asyncio.create_task(items_of(service))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_service_cut_off_in_mid_answer_is_asked_again() -> None:
    cut = Told(b"[1, 2", headers={"content-length": "1000"})
    with serving(Scripted(cut, FINE)) as service:
        assert await items_of(service, retry=AT_ONCE) == [{"a": 1}]
        assert len(service.asked) == 2


async def test_an_answer_larger_than_it_may_be_is_not_held_in_memory() -> None:
    over = threading.Event()

    async def endless() -> AsyncIterator[bytes]:
        while not over.is_set():
            yield b"x" * 65536
            await asyncio.sleep(0)

    with serving(Scripted(Told(pieces=endless))) as service:
        try:
            error = await failure_of(service, max_bytes=1_000_000)
        finally:
            over.set()
    assert isinstance(error, BadAnswer)
    assert str(error).endswith("an answer has at most 1,000,000 bytes, got more")
    assert len(service.asked) == 1


async def test_the_bound_counts_what_an_answer_unpacks_to() -> None:
    packed = Told(gzip.compress(b" " * 10_000_000), headers={"content-encoding": "gzip"})
    with serving(Scripted(packed)) as service:
        error = await failure_of(service, max_bytes=1_000_000)
    assert isinstance(error, BadAnswer)


def later(seconds: float) -> str:
    return format_datetime(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": later(90), "date": later(0)}, 90.0),
        ({"retry-after": later(-90), "date": later(0)}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "²"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_a_service_asks_for_is_seconds_or_a_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds


def test_a_date_without_the_date_of_the_answer_is_compared_with_our_clock() -> None:
    assert retry_after({"retry-after": "Sat, 01 Jan 2000 00:00:00 GMT"}) == 0.0


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which do not take place."""
    waits: list[float] = []
    sleep = asyncio.sleep

    async def at_once(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr("piko_flow.connectors.http_request.asyncio.sleep", at_once)
    return waits


async def test_the_wait_is_as_long_as_the_service_asks_or_as_the_retry_says(slept: list[float]) -> None:
    def busy(seconds: str) -> Told:
        return Told(status=429, headers={"retry-after": seconds})

    with serving(Scripted(busy("7"), busy("1"), BUSY, FINE)) as service:
        assert await items_of(service, retry=Retry(attempts=4, first=3, limit=100)) == [{"a": 1}]
    assert [wait for wait in slept if wait >= 1] == [7.0, 6.0, 12.0]


async def test_a_service_that_asks_for_more_time_than_there_is_fails_the_run_at_once() -> None:
    with serving(Scripted(Told(status=429, headers={"retry-after": "3600"}), FINE)) as service:
        error = await failure_of(service, longest_wait=60)
        assert len(service.asked) == 1
    assert isinstance(error, BadStatus)
    assert error.retry_after == 3600
    assert error.__notes__ == ["the service asks to wait 3,600 seconds, longest_wait=60 allows less"]


async def asked_for(client: HttpClient, lookup: HttpLookup[Any], item: Any) -> Any:
    async with client.acquire(RunInfo(run="test")) as opened:
        return await lookup(item, opened)


def ordered(item: Any) -> dict[str, Any]:
    return {"order": item}


async def test_a_post_is_sent_again_only_where_that_is_asked_for() -> None:
    with serving(Scripted(BUSY, FINE)) as service:
        client = HttpClient(service.url)
        once = HttpLookup("/orders", method="POST", json=ordered, retry=AT_ONCE)
        with pytest.raises(BadStatus, match=r"POST .*status 503"):
            await asked_for(client, once, 7)
        assert len(service.asked) == 1
    with serving(Scripted(BUSY, FINE)) as service:
        again = HttpLookup("/orders", method="POST", json=ordered, retry=AT_ONCE, repeatable=True)
        assert await asked_for(HttpClient(service.url), again, 7) == [{"a": 1}]
        assert [one.body for one in service.asked] == [b'{"order":7}'] * 2


async def test_a_post_that_cannot_have_been_received_is_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody listens at first, and the service begins while the request waits for its next attempt."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))  # which refuses connections until somebody listens
    service, attempts = Service(lambda asked: FINE, bound), list[str]()

    with ExitStack() as opened:

        def told(record: logging.LogRecord) -> bool:
            attempts.append(record.getMessage())
            if len(attempts) == 1:
                opened.enter_context(service.running())
            return True

        caplog.set_level(logging.INFO, "piko_flow.http")
        caplog.handler.addFilter(told)
        opened.callback(caplog.handler.removeFilter, told)
        lookup = HttpLookup[Any](
            "/orders", method="POST", json=ordered, retry=Retry(attempts=100, first=0.02, limit=0.5)
        )
        assert await asked_for(HttpClient(service.url), lookup, 7) == [{"a": 1}]
    assert len(service.asked) == 1
    assert "ConnectError" in attempts[0]


async def test_secrets_are_in_no_message_repr_or_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(Scripted(Told({"error": "no"}, status=401))) as service:
        url = service.url.replace("http://", "http://me:hush-2@")
        client = HttpClient(url, headers=lambda: {"X-Token": "hush-1"})
        source = HttpSource(
            "/orders",
            client=client,
            params={"api_key": "hush-3", "pin": "hush-4", "page": 2},
            secrets=["Pin"],
        )
        with pytest.raises(StageFailed) as caught:
            await source.collect()
        assert service.asked[0].headers["x-token"] == "hush-1"
        assert service.asked[0].headers["authorization"].startswith("Basic ")
        assert service.asked[0].query == {"api_key": "hush-3", "pin": "hush-4", "page": "2"}
    assert str(caught.value.__cause__) == (
        f"""GET {service.url}/orders?api_key=******&pin=******&page=2: status 401, '{{"error": "no"}}'"""
    )
    shown = [repr(client), repr(source), repr(caught.value.__cause__), caplog.text]
    assert "HTTP Request: GET" in caplog.text  # httpx tells of each request
    assert [text for text in shown if "hush" in text] == []


async def test_headers_by_a_function_are_asked_for_when_the_client_is_opened() -> None:
    tokens = iter(["first", "second"])
    with serving(Scripted(FINE)) as service:
        client = HttpClient(service.url, headers=lambda: {"x-token": next(tokens)})
        source = HttpSource("/", client=client)
        await source.collect()
        await source.collect()
        assert [one.headers["x-token"] for one in service.asked] == ["first", "second"]


async def test_headers_that_are_no_texts_are_named_without_their_values() -> None:
    bad: Any = {"x-token": 12345}
    client = HttpClient("http://127.0.0.1:1", headers=bad)
    with pytest.raises(PipelineError, match="headers must be texts; 'x-token' is int"):
        async with client.acquire(RunInfo(run="test")):
            pass


async def test_parameters_of_a_client_of_ones_own_stay_beside_those_of_the_address() -> None:
    with serving(Scripted(FINE)) as service:

        def own() -> httpx.AsyncClient:
            return httpx.AsyncClient(base_url=service.url, params={"tenant": "x"})

        assert await HttpSource("/?a=1", client=own, params={"b": 2}).collect() == [{"a": 1}]
        assert service.asked[0].query == {"tenant": "x", "a": "1", "b": "2"}


@pytest.mark.parametrize(
    "error",
    [
        HttpFailed("GET", "/", "no"),
        NoAnswer("GET", "/", "no", passing=False, unsent=True),
        BadStatus("GET", "/", 429, "busy", retry_after=3.0),
    ],
)
def test_errors_travel_between_processes(error: HttpFailed) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


async def test_a_limit_holds_every_call_when_the_service_asks_to_wait() -> None:
    held: list[float] = []

    class Held(RateLimit):
        def hold(self, seconds: float) -> None:
            held.append(seconds)
            super().hold(seconds)

    rate = Held(1000)
    with serving(Scripted(Told(status=429, headers={"retry-after": "0"}), FINE)) as service:
        await items_of(service, rate=rate, retry=AT_ONCE)
    assert held == [0.0]
