"""Taking a notice to people: a POST to an address, a program with the notice on its standard input."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

import orjson

from piko_flow.control.notice_options import NoticeOptions
from piko_flow.control.notices.notice_post import NotDelivered, post

TIMEOUT = 10.0  # seconds that an address or a program may take

Deliver = Callable[[Mapping[str, object]], Awaitable[None]]
"""Takes one notice to one place. Raises NotDelivered."""


def places(options: NoticeOptions) -> tuple[Deliver, ...]:
    """All that are to get notices: each has what the others miss."""
    found = list[Deliver]()
    if options.webhook:
        found.append(partial(_send_to, options.webhook))
    if options.command:
        found.append(partial(_hand_to, options.command))
    return tuple(found)


async def _send_to(address: str, notice: Mapping[str, object]) -> None:
    await post(address, orjson.dumps(notice), within=TIMEOUT)


async def _hand_to(command: tuple[str, ...], notice: Mapping[str, object]) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise NotDelivered(f"{command[0]} could not be started with a notice: {error.strerror}") from error
    try:
        async with asyncio.timeout(TIMEOUT):
            await process.communicate(orjson.dumps(notice))
    except TimeoutError as error:
        raise NotDelivered(f"{command[0]} did not take a notice within {TIMEOUT:g} s") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise NotDelivered(f"{command[0]} ended with {process.returncode} over a notice")
