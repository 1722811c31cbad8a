"""A stream of events: what it sends, when it ends, and that one who does not take it is let go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from starlette.types import Message

from piko_flow.errors import StoreUnavailable
from piko_flow.ops.live.event_stream import HEARTBEAT, LONGEST, EventStream, pieces
from piko_flow.ops.live.topic import Topic
from tests.unit.planes import running
from tests.unit.test_live_runs import Heard, listening


class Reading:
    """Takes pieces of a stream while the clock of the test is moved on."""

    def __init__(self, heard: Heard) -> None:
        self.heard = heard
        self.pieces: AsyncIterator[bytes] = pieces(heard.live, heard.listener, heard.scene.clock)

    async def next(self, *, within: float = 0) -> str:
        """The next piece, which comes within so many seconds of the clock; "the end" after the last one."""
        taking = asyncio.ensure_future(anext(self.pieces, b"the end"))
        waited = 0.0
        while True:
            await self.heard.scene.clock.advance(0.5)
            if taking.done():
                return (await taking).decode()
            waited += 0.5
            assert waited <= within + 3, "got nothing"


async def test_events_have_ids_names_and_data_and_silence_has_a_heartbeat() -> None:
    async with listening() as heard:
        reading = Reading(heard)
        assert await reading.next() == "retry: 2000\n: piko flow\n\n"
        beginning = heard.live.beginning
        assert await reading.next() == f"id: {beginning}-1\nevent: reset\ndata: {{}}\n\n"
        await running(heard.scene, "mail")
        told = await reading.next(within=2)
        assert told.startswith(
            f'id: {beginning}-2\nevent: run_began\ndata: {{"run": {{"id": 1, "flow": "mail"'
        )
        assert await reading.next(within=HEARTBEAT + 1) == ": still here\n\n"


async def test_a_stream_ends_when_the_process_drains() -> None:
    async with listening() as heard:
        reading = Reading(heard)
        await reading.next()
        await reading.next()
        heard.process.role = "draining"
        assert await reading.next(within=2) == "the end"


async def test_a_stream_ends_after_five_minutes_so_that_its_token_is_looked_at_again() -> None:
    async with listening() as heard:
        reading = Reading(heard)
        told = [await reading.next(within=HEARTBEAT + 1)]
        began = heard.scene.clock.monotonic()
        while told[-1] != "the end":
            told.append(await reading.next(within=HEARTBEAT + 1))
        assert LONGEST - 1 <= heard.scene.clock.monotonic() - began <= LONGEST + 5


async def test_a_stream_outlives_a_store_that_is_away() -> None:
    async with listening() as heard:
        reading = Reading(heard)
        await reading.next()
        await reading.next()
        heard.process.fails = StoreUnavailable(what="look", reason="it is away")
        assert await reading.next(within=2) == ": the store does not answer\n\n"
        heard.process.fails = None
        await running(heard.scene, "mail")
        assert "event: run_began" in await reading.next(within=3)


async def test_a_client_that_takes_nothing_is_let_go_and_listens_no_more() -> None:
    async with listening() as heard, AsyncExitStack() as stack:
        listener = await stack.enter_async_context(heard.live.listening(Topic(), whose=1))
        stream = EventStream(pieces(heard.live, listener), ending=stack.pop_all(), slowest=0.05)
        assert heard.live.listeners == 2

        async def never(message: Message) -> None:
            await asyncio.Event().wait()

        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        async with asyncio.timeout(30):
            await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, never)
        assert heard.live.listeners == 1


async def test_a_client_that_leaves_listens_no_more() -> None:
    async with listening() as heard, AsyncExitStack() as stack:
        listener = await stack.enter_async_context(heard.live.listening(Topic(), whose=1))
        stream = EventStream(pieces(heard.live, listener, heard.scene.clock), ending=stack.pop_all())
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async with asyncio.timeout(30):
            await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
        assert heard.live.listeners == 1
        assert sent[0]["type"] == "http.response.start"
