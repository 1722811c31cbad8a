"""The tokens that were good a moment ago, so that a request is not a statement each."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol, TypeVar

from piko_flow.clock import Clock
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.errors import StoreUnavailable
from piko_flow.ops.door.token_secrets import digest_of
from piko_flow.ops.door_options import DoorOptions
from piko_flow.store.ops_records import TokenKind, TokenRecord

T = TypeVar("T")
REMEMBERED: Final = 1000  # tokens
IN_USE: Final = 30.0  # seconds: longer than pages wait to refresh, and streams to be looked at again
USE_NOTED: Final = timedelta(minutes=1)


class Asks(Protocol):
    """How the plane is asked. Raises StoreUnavailable."""

    async def __call__(self, work: Callable[[ControlPlane], Awaitable[T]], /) -> T: ...


log = logging.getLogger("piko_flow.door")


@dataclass(slots=True)
class _Known:
    token: TokenRecord
    until: float
    got: float


@dataclass(frozen=True, slots=True)
class _Round:
    """One question about all tokens in use, with what came of it."""

    number: int
    asked: Collection[str]
    good: Mapping[str, TokenRecord]
    failed: StoreUnavailable | None = None


class KnownTokens:
    """Finds tokens by their secrets. A token that is revoked is good for two seconds at most from then on.

    Only what is good is remembered: the thousand tokens that came last. When one of them is to be looked up anew, so
    are by the same statement all that came in the last half minute: many who come often cost a statement in two
    seconds, and nothing is asked while nobody comes. For one loop.
    """

    def __init__(self, ask: Asks, options: DoorOptions, clock: Clock) -> None:
        self._ask, self._options, self._clock = ask, options, clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._turn = asyncio.Lock()
        self._begun = 0
        self._last = _Round(0, (), {})

    def has_met(self, secret: str) -> bool:
        """Whether it was good when it was looked up last, however long ago."""
        return digest_of(secret) in self._known

    def meet(self, token: TokenRecord) -> None:
        """Remember a token that is good now."""
        self._remember(token, self._clock.monotonic())

    async def find(self, secret: str, kind: TokenKind) -> TokenRecord | None:
        """The token of this kind if it is good. Raises StoreUnavailable."""
        digest = digest_of(secret)
        if digest is None:
            return None
        now, known = self._clock.monotonic(), self._known.get(digest)
        if known is None or now - known.got > IN_USE:
            found = await self._ask_for(digest)
        else:
            known.got = now
            self._known.move_to_end(digest)
            found = known.token if known.until > now else await self._ask_together(digest)
        return found if found is not None and found.kind is kind else None

    def forget(self, token: TokenRecord) -> None:
        """Take the token for an unknown one when it comes again."""
        self._known.pop(token.digest, None)

    def _remember(self, token: TokenRecord, asked_at: float) -> None:
        digest, until = token.digest, asked_at + self._options.remembered.total_seconds()
        self._known[digest] = _Known(token, until, asked_at)
        self._known.move_to_end(digest)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def _ask_for(self, digest: str) -> TokenRecord | None:
        """Look up a token that nobody has used for a while, at once."""
        asked_at = self._clock.monotonic()
        good = await self._ask(lambda plane: _good(plane, [digest], self._options.idle))
        found = good.get(digest)
        if found is not None:
            self._remember(found, asked_at)
        else:
            self._known.pop(digest, None)
        return found

    async def _ask_together(self, digest: str) -> TokenRecord | None:
        """Look up a token in use with all others, once for all who wait for it.

        An answer counts for who came before it was asked for, so it is as new as one of their own; that the store
        is away counts for all who waited, so that they do not wait for it one after the other.
        """
        begun, last = self._begun, self._last
        async with self._turn:
            known = self._known.get(digest)
            if known is not None and known.until > self._clock.monotonic():
                return known.token
            if self._last is last or (self._last.number <= begun and self._last.failed is None):
                self._last = await self._round()
            found = self._last
        if found.failed is not None:
            raise StoreUnavailable(what=found.failed.what, reason=found.failed.reason) from found.failed
        # It was not asked for where it was forgotten while it waited.
        return found.good.get(digest) if digest in found.asked else await self._ask_for(digest)

    async def _round(self) -> _Round:
        """Look up all tokens in use. Cancelling leaves them as they were."""
        self._begun += 1
        number, asked_at = self._begun, self._clock.monotonic()
        asked = {digest: one for digest, one in self._known.items() if asked_at - one.got <= IN_USE}
        try:
            good = await self._ask(lambda plane: _good(plane, asked, self._options.idle))
        except StoreUnavailable as error:
            return _Round(number, asked, {}, error)
        for digest, known in asked.items():
            if self._known.get(digest) is not known:
                continue  # forgotten meanwhile, which the store may have known later
            if digest in good:
                known.token = good[digest]
                known.until = asked_at + self._options.remembered.total_seconds()
            else:
                del self._known[digest]
        return _Round(number, asked, good)


async def _good(plane: ControlPlane, digests: Collection[str], idle: timedelta) -> dict[str, TokenRecord]:
    """Those that are good and, where they are sessions, have been used within `idle`; notes that they are used now."""
    good: dict[str, TokenRecord] = {}
    idling, unnoted = [], []
    for one in await plane.store.good_tokens(digests):
        found, used = one.token, one.token.used_at
        if found.kind is TokenKind.SESSION and one.at - (used or found.created_at or one.at) > idle:
            idling.append(found.id)
            continue
        good[found.digest] = found
        if used is None or one.at - used >= USE_NOTED:
            unnoted.append(found.id)
    try:
        for number in idling:
            await plane.store.revoke_token(number)
        if unnoted:
            await plane.store.note_use(unnoted)
    except StoreUnavailable as error:  # a store that only reads still says who may come in
        log.warning("the use of tokens %s was not noted: %s", [*idling, *unnoted], error)
    return good
