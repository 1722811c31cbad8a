"""The flows of the folder `pipelines` that ask a service, against services that a test starts."""

import asyncio
import socket
from pathlib import Path

import pytest

from piko_flow import Flow, Registry
from piko_flow.planning.run_state import RunStatus
from pipelines import fetch_with_resource, redis_resource, sweep_http
from tests.databases.redis import RedisHost
from tests.services.answering import Asked, Told, serving
from tests.system.running_app import eventually, running

AT_ONCE = 8
PATIENCE = 60.0


class Crowd:
    """Answers nobody before so many have asked, and knows how many were answered at once."""

    def __init__(self, size: int) -> None:
        self.size, self.begun, self.inside, self.most = size, 0, 0, 0
        self.full = asyncio.Event()

    async def answer(self, asked: Asked) -> Told:
        """A hundred bytes, when enough have asked; 404 for /gone."""
        self.begun, self.inside = self.begun + 1, self.inside + 1
        self.most = max(self.most, self.inside)
        if self.begun >= self.size:
            self.full.set()
        async with asyncio.timeout(PATIENCE):
            await self.full.wait()
        self.inside -= 1
        return Told(b"x" * 100, status=404 if asked.path == "/gone" else 200)


def clients(redis: RedisHost) -> int:
    """How many connections the server has, that of the question among them."""
    return len(redis.client("CLIENT", "LIST").splitlines())


def only(flow: Flow) -> Registry[Flow]:
    registry: Registry[Flow] = Registry()
    registry.add(flow)
    return registry


async def test_a_sweep_fetches_so_many_at_once_and_goes_on_past_an_address_that_does_not_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crowd = Crowd(AT_ONCE)
    with serving(crowd.answer) as service, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listened at: a connection is refused
        away = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        urls = [*(f"{service.url}/{number}" for number in range(40)), away]
        async with running(only(sweep_http.sweep_http), tmp_path) as app:
            params = {"urls": urls, "concurrency": AT_ONCE, "timeout_s": PATIENCE}
            run = await app.trigger("sweep_http", params=params)
            letters = await app.app.service.call(lambda plane: plane.store.dead_letters(limit=10))
    assert run.status is RunStatus.SUCCESS, run.error_msg
    assert capsys.readouterr().out == "40 answered, 4,000 bytes\n"
    assert crowd.most == AT_ONCE
    (letter,) = letters
    assert (letter.flow, letter.run, letter.error_type) == ("sweep_http", run.id, "ConnectError")


async def test_a_client_is_handed_in_and_asks_so_many_times_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crowd = Crowd(AT_ONCE)
    with serving(crowd.answer) as service:
        async with running(only(fetch_with_resource.fetch_with_resource), tmp_path) as app:
            given = {"times": 20, "at_once": AT_ONCE}
            runs = [
                await app.trigger("fetch_with_resource", params={"url": f"{service.url}/{path}", **given})
                for path in ("here", "gone")
            ]
    assert [(run.status, run.error_msg) for run in runs] == [(RunStatus.SUCCESS, "")] * 2
    assert capsys.readouterr().out.splitlines() == [
        "20 of 20 answers have status 200",
        "0 of 20 answers have status 200",
    ]
    assert crowd.most == AT_ONCE


async def test_a_client_of_redis_is_opened_for_each_run_and_closed(
    redis: RedisHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(redis_resource.VARIABLE, redis.url())
    before = clients(redis)

    async def closed() -> bool:
        return clients(redis) <= before

    async with running(only(redis_resource.count_in_redis), tmp_path) as app:
        runs = [await app.trigger("count_in_redis") for _ in range(2)]
        assert [(run.status, run.error_msg) for run in runs] == [(RunStatus.SUCCESS, "")] * 2
        await eventually(closed)  # while the application is still at work
    assert capsys.readouterr().out.splitlines() == [
        "count_in_redis has run 1 times",
        "count_in_redis has run 2 times",
    ]
    assert redis.client("GET", "runs:count_in_redis") == "2"


async def test_a_redis_that_is_away_fails_the_run_without_telling_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        monkeypatch.setenv(redis_resource.VARIABLE, f"redis://:hidden-from-all@127.0.0.1:{port}/0")
        async with running(only(redis_resource.count_in_redis), tmp_path) as app:
            run = await app.trigger("count_in_redis")
    assert (run.status, run.error_type) == (RunStatus.FAILED, "ConnectionError")
    assert "hidden-from-all" not in run.error_msg
