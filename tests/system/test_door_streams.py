"""Streams: they pass as they come, and end when who listens is let in no more."""

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from piko_flow.errors import StoreUnavailable
from piko_flow.ops.door.tokens import revoke_token
from piko_flow.store.ops_records import Role
from tests.system.doors import limited, served


async def test_streams_pass_as_they_come(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client(headers=await door.token(Role.VIEWER)) as client:
        async with client.stream("GET", "/rooms/stream") as answer:
            first = await asyncio.wait_for(anext(answer.aiter_text()), 30)
        assert first == "data: first\n\n"


async def listen(answer: httpx.Response) -> int:
    """How many pieces come until the stream ends in good order."""
    return len([piece async for piece in answer.aiter_raw()])


async def test_a_stream_ends_when_the_token_is_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limited(monkeypatch, looked_again=timedelta(seconds=0.1), remembered=timedelta(0))
    async with served(tmp_path) as door, door.client() as client:
        token, secret = await door.issued(Role.VIEWER)
        headers = {"authorization": f"Bearer {secret}"}
        async with client.stream("GET", "/rooms/ticking", headers=headers) as answer:
            listening = asyncio.create_task(listen(answer), name="listener")
            async with door.client() as other:
                for _ in range(20):  # it goes on while the token is good
                    assert (await other.get("/rooms/echo", headers=headers)).status_code == 200
                assert not listening.done()
            await door.world.app.ask(lambda plane: revoke_token(plane, str(token.id)))
            assert await asyncio.wait_for(listening, 30) > 0
        assert (await client.get("/rooms/echo", headers=headers)).status_code == 401
    assert "Exception" not in caplog.text


async def test_a_stream_goes_on_while_the_store_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, looked_again=timedelta(0), remembered=timedelta(0))
    async with (
        served(tmp_path) as door,
        door.client(headers=await door.token(Role.VIEWER)) as client,
        client.stream("GET", "/rooms/ticking") as answer,
    ):
        pieces = answer.aiter_raw()
        await anext(pieces)
        asked = asyncio.Event()

        async def away(*words: object) -> None:
            asked.set()
            raise StoreUnavailable(what="do that", reason="it is away")

        monkeypatch.setattr(door.world.app, "ask", away)
        await asyncio.wait_for(asked.wait(), 30)
        for _ in range(3):
            assert await asyncio.wait_for(anext(pieces), 30) == b"data: again\n\n"
        monkeypatch.undo()
