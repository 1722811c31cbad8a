"""How much, how fast and how often: each has a bound, and who is beyond it is told when to come again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest

from piko_flow.ops.door import doorkeeper, sessions
from piko_flow.ops.door.known_tokens import KnownTokens
from piko_flow.ops.door.token_secrets import new_secret
from piko_flow.ops.door_options import KILOBYTE, DoorOptions
from piko_flow.ops.server import server_for
from piko_flow.store.ops_records import Role, TokenKind, TokenRecord
from tests.system.doors import PAGE, limited, served
from tests.system.running_app import eventually
from tests.system.test_door_closed import raw, request, status


@pytest.fixture(autouse=True)
def long_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sent too many wrong tokens waits for longer than any test takes."""
    monkeypatch.setattr(doorkeeper, "FAILURE_RATE", 0.0001)


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * KILOBYTE


async def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(tmp_path: Path) -> None:
    async with served(tmp_path, max_body_kb=4) as door, door.client() as client:
        client.headers.update(await door.token(Role.OPERATOR))
        fits = await client.post("/rooms/echo", content=b"x" * 4 * KILOBYTE)
        assert fits.json()["got"] == 4 * KILOBYTE
        assert (await client.post("/rooms/echo", content=pieces(4))).json()["got"] == 4 * KILOBYTE
        announced = await client.post("/rooms/echo", content=b"x" * (4 * KILOBYTE + 1))
        assert announced.status_code == 413
        assert announced.headers["content-type"] == "application/problem+json"
        assert "max_body_kb" in announced.json()["rule"]
        assert (await client.post("/rooms/echo", content=pieces(5))).status_code == 413
        page = await client.post("/rooms/echo", content=b"x" * 5000, headers={"accept": "text/html"})
        assert (page.status_code, page.headers["content-type"]) == (413, "text/html; charset=utf-8")


async def test_a_body_that_says_it_is_too_large_is_not_waited_for(tmp_path: Path) -> None:
    async with served(tmp_path) as door:
        good = "Authorization: Bearer " + (await door.issued(Role.OPERATOR))[1]
        for length in ("1000000000", "9" * 30):
            answer = await raw(door, request("/rooms/echo", good, f"Content-Length: {length}", method="POST"))
            assert status(answer) in (400, 413), answer
        for length in ("-1", "x", "1, 2"):
            answer = await raw(door, request("/rooms/echo", good, f"Content-Length: {length}", method="POST"))
            assert status(answer) == 400, answer
        nobody = request("/rooms/echo", "Content-Length: 1000000000", method="POST")
        assert status(await raw(door, nobody)) == 401
        login = request("/login", "Content-Length: 100000", method="POST")
        assert status(await raw(door, login)) == 413


async def test_a_body_that_comes_too_slowly_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, body_within=timedelta(seconds=0.2))
    async with served(tmp_path) as door:
        good = "Authorization: Bearer " + (await door.issued(Role.OPERATOR))[1]
        text = request("/rooms/echo", good, "Content-Length: 10", method="POST") + "slow"
        assert status(await raw(door, text)) == 408
        login = request("/login", "Content-Length: 10", method="POST") + "slow"
        assert status(await raw(door, login)) == 408


async def test_a_token_makes_so_many_requests_and_another_one_is_not_held_back(tmp_path: Path) -> None:
    async with served(tmp_path, request_rate=1) as door, door.client() as client:
        one, other = await door.token(Role.VIEWER, "one"), await door.token(Role.VIEWER, "other")
        answers = [await client.get("/rooms/echo", headers=one) for _ in range(12)]
        assert [found.status_code for found in answers[:2]] == [200, 200]
        held = next(found for found in answers if found.status_code == 429)
        assert int(held.headers["retry-after"]) >= 1
        assert "request_rate" in held.json()["rule"]
        assert (await client.get("/rooms/echo", headers=other)).status_code == 200


async def test_logging_in_counts_as_a_request_of_the_token(tmp_path: Path) -> None:
    async with (
        served(tmp_path, request_rate=1) as door,
        door.client(headers={**PAGE, "origin": door.address}) as client,
    ):
        (_, one), (_, other) = await door.issued(Role.VIEWER, "one"), await door.issued(Role.VIEWER, "other")
        answers = [await client.post("/login", data={"token": one}) for _ in range(12)]
        assert [found.status_code for found in answers[:2]] == [303, 303]
        held = next(found for found in answers if found.status_code == 429)
        assert "request_rate" in held.text
        opened = sum(found.status_code == 303 for found in answers)
        assert door.value("SELECT COUNT(*) FROM piko_flow_token WHERE kind = 'session'") == opened
        assert (await client.post("/login", data={"token": other})).status_code == 303


async def test_a_token_has_so_many_sessions_and_one_more_ends_the_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SESSIONS", 2)
    async with served(tmp_path) as door, AsyncExitStack() as stack:
        _, secret = await door.issued(Role.VIEWER)
        browsers = [
            await stack.enter_async_context(door.client(headers={**PAGE, "origin": door.address}))
            for _ in range(3)
        ]
        for browser in browsers:
            assert (await browser.post("/login", data={"token": secret})).status_code == 303
        first, *later = browsers

        async def ended() -> bool:
            return (await first.get("/rooms/echo")).status_code == 303

        assert await eventually(ended)
        assert [(await one.get("/rooms/echo")).status_code for one in later] == [200, 200]
        ends = "SELECT COUNT(*) FROM piko_flow_audit WHERE action = 'session.end'"
        assert door.value(ends) == 1


async def test_so_many_streams_of_a_token_are_open_and_when_one_ends_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, at_once=3)
    async with served(tmp_path) as door, AsyncExitStack() as open_streams:
        token, other = await door.token(Role.VIEWER, "one"), await door.token(Role.VIEWER, "other")
        clients = [await open_streams.enter_async_context(door.client()) for _ in range(4)]
        last = AsyncExitStack()
        for client, stack in zip(clients, (open_streams, open_streams, last), strict=False):
            stream = await stack.enter_async_context(client.stream("GET", "/rooms/stream", headers=token))
            assert stream.status_code == 200
        asks = clients[3]
        assert (await asks.get("/rooms/echo", headers=token)).status_code == 429
        assert (await asks.get("/rooms/echo", headers=other)).status_code == 200
        await last.aclose()
        async with asyncio.timeout(30):
            while (await asks.get("/rooms/echo", headers=token)).status_code != 200:
                continue


async def test_after_some_wrong_tokens_an_address_waits_but_who_has_a_good_one_is_let_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path) as door, door.client() as client, door.browser() as browser:
        known = await door.token(Role.VIEWER)
        assert (await client.get("/rooms/echo", headers=known)).status_code == 200
        link, unknown = await door.link(), await door.token(Role.VIEWER, "other")
        wrong = [
            (await client.get("/rooms/echo", headers={"authorization": f"Bearer {new_secret()}"})).status_code
            for _ in range(12)
        ]
        assert wrong[:9] == [401] * 9
        assert wrong[-1] == 429
        assert "127.0.0.1 sent wrong tokens and has to wait" in caplog.text
        assert "pf_" not in caplog.text
        held = await client.post("/login", data={"token": new_secret()}, headers=PAGE)
        assert held.status_code == 429
        assert int(held.headers["retry-after"]) >= 1
        assert "Too many requests" in held.text
        assert (await client.get("/rooms/echo", headers=unknown)).status_code == 200
        assert (await client.get(link, headers=PAGE)).status_code == 303
        assert (await client.get("/rooms/echo", headers=known)).status_code == 200
        assert (await browser.get("/rooms/echo")).status_code == 200
        assert (await client.get("/login")).status_code == 200
        door.world.sql("UPDATE piko_flow_token SET used_at = NULL")

        async def looked_up_again() -> bool:
            """Also when its two seconds are over, and the store is asked anew, who is known is let in."""
            assert (await browser.get("/rooms/echo")).status_code == 200
            return bool(door.value("SELECT max(used_at) FROM piko_flow_token WHERE kind = 'session'"))

        assert await eventually(looked_up_again)
        new = await client.get("/rooms/echo", headers={"authorization": f"Bearer {new_secret()}"})
        assert new.status_code == 429


async def test_wrong_tokens_in_the_form_and_used_links_count_as_well(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client(headers=PAGE) as client:
        tries = [await client.post("/login", data={"token": new_secret()}) for _ in range(12)]
        assert [one.status_code for one in tries[:10]] == [401] * 10
        assert tries[-1].status_code == 429
        assert (await client.get("/login", params={"token": new_secret()})).status_code == 429


async def test_where_wrong_tokens_come_on_and_on_no_more_than_some_are_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, find = 0, KnownTokens.find

    async def counting(self: KnownTokens, secret: str, kind: TokenKind) -> TokenRecord | None:
        nonlocal looked
        looked += 1
        return await find(self, secret, kind)

    monkeypatch.setattr(KnownTokens, "find", counting)
    monkeypatch.setattr(doorkeeper, "LOOKS", 0.5)
    async with served(tmp_path) as door, door.client() as client:
        good, began = await door.token(Role.VIEWER), monotonic()
        wrong = [{"authorization": f"Bearer {new_secret()}"} for _ in range(60)]
        answers = [(await client.get("/rooms/echo", headers=one)).status_code for one in wrong]
        assert set(answers) == {401, 429}
        regained = doorkeeper.LOOKS * (monotonic() - began)
        assert looked <= doorkeeper.FAILURES + doorkeeper.BURST + 1 + regained

        async def let_in() -> bool:
            return (await client.get("/rooms/echo", headers=good)).status_code == 200

        assert await eventually(let_in)


async def test_a_server_takes_a_bounded_number_of_connections_and_logs_no_address(tmp_path: Path) -> None:
    async with served(tmp_path) as door:
        config = server_for(door.world.app, door.api).config
        assert config.limit_concurrency == 1000
        assert not config.access_log  # an address may hold the secret of a link


def many(count: int) -> Iterator[str]:
    yield from (f"X-{number}: 1" for number in range(count))


async def test_very_long_headers_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as door:
        text = request("/livez", f"X-Long: {'x' * 200_000}")
        with suppress(ConnectionError):  # the server does not wait for the rest
            assert status(await raw(door, text)) in (400, 431)
        assert status(await raw(door, request("/livez", *many(50)))) == 200


def test_the_options_of_a_door_have_bounds_without_any_setting() -> None:
    options = DoorOptions()
    assert (options.body, options.rate, options.at_once) == (1024 * KILOBYTE, 100, 64)
    assert options.remembered <= timedelta(seconds=5)
    assert options.metrics_open is False
