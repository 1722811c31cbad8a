"""Taking a notice to people: a POST to an address, a program with the notice on its standard input."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import orjson

from piko_flow.control.notice_options import NoticeOptions
from piko_flow.errors import PikoFlowError, describe_error

TIMEOUT = 10.0  # seconds that an address or a program may take
SCHEMES = ("http", "https")


class NotDelivered(PikoFlowError):
    """A notice did not reach the address or the program; the address is told without what may be secret in it."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Where the notice goes is said by the settings alone."""

    def redirect_request(self, *_: object) -> None:
        return None


async def deliver(notice: Mapping[str, object], options: NoticeOptions) -> None:
    """Take the notice to all who are to get it. Raises NotDelivered for the first that did not."""
    body = orjson.dumps(notice)
    if options.webhook:
        await asyncio.to_thread(_post, options.webhook, body)
    if options.command:
        await _hand_to(options.command, body)


def _post(address: str, body: bytes) -> None:
    parts = urlsplit(address)
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"}, method="POST")
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        error.close()
        raise NotDelivered(f"{parts.hostname} answered {error.code} to a notice") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        told = reason if isinstance(reason, str) else describe_error(reason, 100)
        raise NotDelivered(f"{parts.hostname} could not be reached with a notice: {told}") from None


async def _hand_to(command: tuple[str, ...], body: bytes) -> None:
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
            await process.communicate(body)
    except TimeoutError as error:
        raise NotDelivered(f"{command[0]} did not take a notice within {TIMEOUT:g} s") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise NotDelivered(f"{command[0]} ended with {process.returncode} over a notice")
