"""Answering a request with an idempotency key once, however often it comes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Protocol

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.errors import RequestRefused, StoreUnavailable, describe_error
from piko_flow.store.ops_records import KeptAnswer

log = logging.getLogger("piko_flow.api")


class Asks(Protocol):
    """How the control half is asked."""

    async def __call__(self, work: Callable[[ControlPlane], Awaitable[Any]], /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its key (None without one), who asks, and a digest of what is asked."""

    key: str | None
    who: str
    digest: str

    @property
    def run_key(self) -> str:
        """The key of a run that the request makes, by which it makes one however often it comes; empty without a key."""
        if self.key is None:
            return ""
        return f"request-{sha256(f'{self.who} {self.key}'.encode()).hexdigest()[:40]}"

    @classmethod
    def of(cls, request: Request, body: bytes, *, key: str | None, who: str) -> Asked:
        """The same request has the same digest: method, address and body."""
        url = request.url
        address = f"{request.method} {url.path}?{url.query}\n".encode("utf-8", "replace")
        return cls(key, who, sha256(address + body).hexdigest())


async def answered_once(ask: Asks, asked: Asked, make: Callable[[], Awaitable[tuple[int, str]]]) -> Response:
    """The answer that `make` gives, as status and JSON; or the one it gave to the same request before.

    Raises RequestRefused where the key came with another request, and HTTPException 409 while the first is still being
    answered. A request that failed is forgotten, so that it can be made again.
    """
    if asked.key is None:
        return _answer(*await make())
    begun = await ask(lambda plane: _begin(plane, asked))
    if begun.status:
        return _answer(begun.status, begun.body, again=True)
    try:
        status, body = await make()
    except Exception:
        await _end(ask, begun)
        raise
    await _end(ask, replace(begun, status=status, body=body))
    return _answer(status, body)


async def _begin(plane: ControlPlane, asked: Asked) -> KeptAnswer:
    """The kept answer, or the note that it is being made now."""
    note = KeptAnswer(key=asked.key or "", who=asked.who, asked=asked.digest)
    found = await plane.store.begin_answer(note)
    if found is None:
        return note
    if found.asked != asked.digest:
        raise RequestRefused(
            what=f"the idempotency key {asked.key!r}",
            rule="a key belongs to one request",
            got="it came with another address or body",
            advice="Take a new key for a new request",
        )
    if not found.status:
        raise HTTPException(409, "the first request with this idempotency key is still being answered")
    return found


async def _end(ask: Asks, answer: KeptAnswer) -> None:
    """Keep the answer, or forget the note. Where that fails the answer itself is not changed by it."""
    try:
        await ask(lambda plane: plane.store.end_answer(answer))
    except StoreUnavailable as error:
        log.warning("the answer to an idempotency key could not be kept: %s", describe_error(error, 200))


def _answer(status: int, body: str, *, again: bool = False) -> Response:
    headers = {"Idempotent-Replayed": "true"} if again else None
    return Response(body, status_code=status, headers=headers, media_type="application/json")
