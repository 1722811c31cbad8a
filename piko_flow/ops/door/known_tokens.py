"""The tokens that were good a moment ago, so that a request is not a statement each."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol, TypeVar

from piko_flow.clock import Clock
from piko_flow.control.plane import ControlPlane
from piko_flow.errors import StoreUnavailable
from piko_flow.ops.door.token_secrets import digest_of
from piko_flow.ops.door_options import DoorOptions
from piko_flow.store.ops_records import TokenKind, TokenRecord

T = TypeVar("T")
REMEMBERED: Final = 1000  # tokens
USE_NOTED: Final = timedelta(minutes=1)


class Asks(Protocol):
    """How the plane is asked. Raises StoreUnavailable."""

    async def __call__(self, work: Callable[[ControlPlane], Awaitable[T]], /) -> T: ...


log = logging.getLogger("piko_flow.door")


@dataclass(frozen=True, slots=True)
class _Known:
    token: TokenRecord
    until: float


class KnownTokens:
    """Finds tokens by their secrets. A token that is revoked is good for two seconds at most from then on.

    Only what is good is remembered: the thousand tokens that came last. For one loop.
    """

    def __init__(self, ask: Asks, options: DoorOptions, clock: Clock) -> None:
        self._ask, self._options, self._clock = ask, options, clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

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
        known = self._known.get(digest)
        found = known.token if known is not None and known.until > self._clock.monotonic() else None
        if found is None:
            asked_at = self._clock.monotonic()
            found = await self._ask(lambda plane: _good(plane, digest, self._options.idle))
            if found is not None:
                self._remember(found, asked_at)
            else:
                self._known.pop(digest, None)
        return found if found is not None and found.kind is kind else None

    def forget(self, token: TokenRecord) -> None:
        """Take the token for an unknown one when it comes again."""
        self._known.pop(token.digest, None)

    def _remember(self, token: TokenRecord, asked_at: float) -> None:
        digest = token.digest
        self._known[digest] = _Known(token, asked_at + self._options.remembered.total_seconds())
        self._known.move_to_end(digest)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


async def _good(plane: ControlPlane, digest: str, idle: timedelta) -> TokenRecord | None:
    """The token if it is good and, where it is a session, has been used within `idle`; notes that it is used now."""
    found = await plane.store.token(digest)
    if found is None:
        return None
    now = await plane.now()
    last = found.used_at or found.created_at or now
    if found.kind is TokenKind.SESSION and now - last > idle:
        await plane.store.revoke_token(found.id)
        return None
    if found.used_at is None or now - found.used_at >= USE_NOTED:
        try:
            await plane.store.note_use([found.id])
        except StoreUnavailable as error:  # a store that only reads still says who may come in
            log.warning("the use of token %d was not noted: %s", found.id, error)
    return found
