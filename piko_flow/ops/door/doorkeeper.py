"""Who somebody is that comes with a request, and how often they may."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, TypeVar

from piko_flow.clock import Clock, SystemClock
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.errors import StoreUnavailable
from piko_flow.ops.door.asked import Asked
from piko_flow.ops.door.known_tokens import KnownTokens
from piko_flow.ops.door.long_answers import LongAnswer, Send
from piko_flow.ops.door.rates import Rates
from piko_flow.ops.door.session_cookie import session_of
from piko_flow.ops.door.sessions import end_session, open_session
from piko_flow.ops.door.token_secrets import csrf_of
from piko_flow.ops.door.turned_away import NotLoggedIn, TooOften
from piko_flow.ops.door_options import DoorOptions
from piko_flow.ops.process import Process
from piko_flow.ops.visitor import Visitor
from piko_flow.store.ops_records import TokenKind, TokenRecord

T = TypeVar("T")
ANSWERED_WITHIN: Final = 10.0  # seconds
FAILURES: Final = 10  # wrong tokens from one address at once
FAILURE_RATE: Final = 0.2  # a second from then on
LOOKS: Final = 10.0  # a second, at tokens from an address that has sent too many wrong ones
BURST: Final = 10
REMEMBERED: Final = 10_000  # addresses, and tokens, whose rates are known

log = logging.getLogger("piko_flow.door")


class Doorkeeper:
    """Knows tokens, sessions and rates, for one application on one loop."""

    def __init__(self, process: Process, *, clock: Clock | None = None) -> None:
        self._process, self._clock = process, clock or SystemClock()
        time = self._clock.monotonic
        self._failures = Rates(rate=FAILURE_RATE, burst=FAILURES, monotonic=time, remembered=REMEMBERED)
        self._looks = Rates(rate=LOOKS, burst=BURST, monotonic=time, remembered=REMEMBERED)
        self._busy: Counter[int] = Counter()

    @cached_property
    def options(self) -> DoorOptions:
        """How the door behaves; looked up when the first request comes."""
        return self._process.door

    async def _ask(self, work: Callable[[ControlPlane], Awaitable[T]], /) -> T:
        """What the plane answers. Raises StoreUnavailable also where it does not answer in time."""
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                return await self._process.ask(work)
        except TimeoutError:
            reason = f"it took longer than {ANSWERED_WITHIN:g} s"
            raise StoreUnavailable(what="say who may come in", reason=reason) from None

    @cached_property
    def _known(self) -> KnownTokens:
        return KnownTokens(self._ask, self.options, self._clock)

    @cached_property
    def _rates(self) -> Rates:
        rate, time = self.options.rate, self._clock.monotonic
        return Rates(rate=rate, burst=2 * rate, monotonic=time, remembered=REMEMBERED)

    async def visitor(self, asked: Asked) -> Visitor:
        """Who comes with this request. Raises NotLoggedIn, TooOften after many wrong tokens, StoreUnavailable.

        A token in the header counts alone: a wrong one is not made good by a cookie beside it.
        """
        bearer, session = asked.bearer, session_of(asked)
        secret = session if bearer is None else bearer
        if secret is None:
            raise NotLoggedIn("got none")
        kind = TokenKind.SESSION if bearer is None else TokenKind.API
        if not self._known.has_met(secret):  # who is known is not kept out by others of the same address
            self.patience(asked)
        found = await self._known.find(secret, kind)
        if found is None:
            self.failed(asked)
            raise NotLoggedIn("the one that came is unknown, revoked or too old")
        if kind is TokenKind.API:
            return Visitor(found.name, found.role, "api", found.id)
        return Visitor(found.name, found.role, "console", found.id, csrf_of(secret))

    @contextmanager
    def counted(self, visitor: Visitor) -> Iterator[None]:
        """Inside the block the visitor is being answered. Raises TooOften for too many, a second or at once.

        A stream of events is an answer that takes long, so this bounds the streams of a token, too.
        """
        who, most = visitor.token, self.options.at_once
        self._take(who)
        if self._busy[who] >= most:
            rule = f"at most {most} requests and streams of a token are answered at once"
            raise TooOften(1, rule=rule, got="got one more")
        self._busy[who] += 1
        try:
            yield
        finally:
            self._busy[who] -= 1
            if not self._busy[who]:
                del self._busy[who]

    def _take(self, token: int) -> None:
        """One more request of this token. Raises TooOften."""
        waits = self._rates.take(token)
        if waits > 0:
            rule = f"a token makes at most {self.options.rate} requests a second (setting request_rate)"
            raise TooOften(waits, rule=rule, got="got more")

    def long_answer(self, asked: Asked, send: Send) -> LongAnswer:
        """The answer to this request, which ends when its visitor is let in no more."""
        every = self.options.looked_again
        return LongAnswer(send, good=lambda: self.visitor(asked), every=every, clock=self._clock)

    def patience(self, asked: Asked) -> None:
        """Raise TooOften where too many wrong tokens came from this address, and come on: then none is looked up.

        At a slower pace they are, since a good one may be among them: who shares an address with somebody whose
        tokens are wrong is not kept out for it.
        """
        address = _neighbourhood(asked.client)
        waits = self._failures.wait(address)
        if waits > 0 and self._looks.take(address) > 0:
            raise _too_often(waits)

    def failed(self, asked: Asked) -> None:
        """Note that a wrong token came. Raises TooOften where too many have come from this address."""
        address = _neighbourhood(asked.client)
        if (waits := self._failures.take(address)) > 0:
            raise _too_often(waits)
        if self._failures.wait(address) > 0:
            log.warning("%s sent wrong tokens and has to wait", address or "somebody")

    async def open_session(
        self, asked: Asked, secret: str, kind: TokenKind
    ) -> tuple[TokenRecord, str] | None:
        """A session with its secret for a good token of this kind, None for another. Raises TooOften, StoreUnavailable.

        It counts as a request of the token that opens it.
        """
        self.patience(asked)
        if kind is TokenKind.API:  # a link is good once
            opener = await self._known.find(secret, kind)
            if opener is None:
                self.failed(asked)
                return None
            self._take(opener.id)
        lasting = self.options.session
        made = await self._ask(lambda plane: open_session(plane, secret, kind=kind, lasting=lasting))
        if made is None:
            self.failed(asked)
        else:
            self._known.meet(made[0])
        return made

    async def end_session(self, asked: Asked) -> None:
        """End the session of this request; it is known no more from then on."""
        secret = session_of(asked)
        found = None if secret is None else await self._known.find(secret, TokenKind.SESSION)
        if found is not None:
            await self._ask(lambda plane: end_session(plane, found))
            self._known.forget(found)


def _too_often(waits: float) -> TooOften:
    return TooOften(waits, rule="after some wrong tokens an address has to wait", got="got one more")


def _neighbourhood(client: str) -> str:
    """The address, or the network of one where a single customer has so many that they are all theirs."""
    try:
        found = ip_address(client)
    except ValueError:
        return client
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(ip_network(f"{found}/64", strict=False))
    return str(found)
