"""The body of a request, read before anybody works on it: bounded in size and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from typing import Any, TypeAlias

from piko_flow.ops.door.asked import Asked
from piko_flow.ops.door.turned_away import TurnedAway
from piko_flow.ops.door_options import KILOBYTE

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]


class ClientLeft(Exception):
    """The client was gone before its request was there."""


def has_body(asked: Asked) -> bool:
    """Whether a body comes with the request."""
    return asked.header("content-length") not in (None, "0") or asked.header("transfer-encoding") is not None


async def read_body(asked: Asked, receive: Receive, *, limit: int, within: timedelta) -> bytes:
    """The whole body. Raises TurnedAway for one that is too large or comes too slowly, ClientLeft.

    One that says it is too large is not read at all.
    """
    announced = asked.header("content-length") or "0"
    if not announced.isascii() or not announced.isdigit():
        raise _refused(400, "A wrong length", "Content-Length is a number", "got another text")
    if len(announced) > 18 or int(announced) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(within.total_seconds()):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > limit:
                    raise _too_large(limit)
                if not message.get("more_body", False):
                    return b"".join(pieces)
    except TimeoutError:
        seconds = f"{within.total_seconds():g} s"
        raise _refused(408, "Too slow", f"a body has to be there within {seconds}", "it was not") from None


def replayed(body: bytes, receive: Receive) -> Receive:
    """What gives the body that was read, and after it what comes."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _too_large(limit: int) -> TurnedAway:
    rule = f"a body has at most {limit // KILOBYTE:,} kB (setting max_body_kb)"
    return _refused(413, "Too large", rule, "got a larger one")


def _refused(status: int, title: str, rule: str, got: str) -> TurnedAway:
    # What is left of the body stays unread, so the connection cannot be used for another request.
    return TurnedAway(status, title, rule=rule, got=got, headers={"connection": "close"})
