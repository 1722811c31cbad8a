"""Holding the lease: asking for it, keeping it, and knowing how long it can be trusted."""

from __future__ import annotations

from datetime import timedelta
from hashlib import blake2b

from piko_flow.clock import Clock
from piko_flow.planning.lease import trusted_until
from piko_flow.store.batch import Term
from piko_flow.store.protocols import LeaseStore
from piko_flow.store.records import Lease, Pulse
from piko_flow.store.texts import NAMES

MARGIN = 10  # a lease is trusted for nine tenths of its time


class Leadership:
    """The lease as this replica has it.

    It does not promise that nobody else leads: a replica that was paused may believe so until it looks again.
    What it writes meanwhile is refused by its term.
    """

    def __init__(
        self,
        *,
        store: LeaseStore,
        name: str,
        holder: str,
        ttl: timedelta,
        renew_every: timedelta,
        clock: Clock,
    ) -> None:
        self._store, self._name, self._holder, self._ttl = store, name, holder, ttl
        self._renew_every, self._clock = renew_every.total_seconds(), clock
        self._trusted_until = self._asked_at = 0.0
        self._resigned = self._unsure = False
        self._owed: Lease | None = None
        self.lease: Lease | None = None

    @property
    def leads(self) -> bool:
        """Whether this replica may act as the leader at this moment, by the monotonic clock."""
        return self.lease is not None and self._clock.monotonic() < self._trusted_until

    @property
    def term(self) -> Term | None:
        """The term of the lease it has, trusted or not."""
        return None if self.lease is None else Term(self.lease.name, self.lease.term)

    @property
    def renewal_is_due(self) -> bool:
        """Whether it is time to prolong the lease."""
        return self.lease is not None and self._clock.monotonic() >= self._asked_at + self._renew_every

    @property
    def owes(self) -> bool:
        """Whether it has, or may have, the lease in the store; for who resigns."""
        return self.lease is not None or self._owed is not None or self._unsure

    async def campaign(self) -> bool:
        """Ask for the lease; gives whether this replica leads now."""
        self._asked_at, self._unsure = self._clock.monotonic(), True
        lease = await self._store.acquire(self._name, holder=self._holder, ttl=self._ttl)
        self._unsure = False
        await self._take(lease)
        return self.lease is not None

    async def renew(self) -> bool:
        """Prolong the lease; False when another has it, or had it since: then this replica leads no more."""
        assert self.lease is not None
        self._asked_at = self._clock.monotonic()
        lease = self.lease
        await self._take(lease if await self._store.renew(lease, ttl=self._ttl) else None)
        return self.lease is not None

    async def resign(self, *, forget: bool = False) -> None:
        """Give the lease back, so that another replica need not wait until it runs out; it is not taken again.

        Also the one whose answer was lost. With `forget` its row goes, too: nobody else asks for it. Raises
        StoreUnavailable; it still owes the lease then: resign again.
        """
        self._resigned = True
        self._owed, self.lease = self.lease or self._owed, None
        if self._owed is None and self._unsure:
            held = (await self._store.pulse(self._name, self._holder)).lease
            self._owed = held if held is not None and held.holder == self._holder else None
        if self._owed is not None:
            await self._store.release(self._owed)
        self._owed, self._unsure = None, False
        if forget:
            await self._store.forget_lease(self._name)

    def lose(self) -> None:
        """Another replica leads."""
        self.lease = None

    async def _take(self, lease: Lease | None) -> None:
        self.lease = lease
        if self._resigned and lease is not None:  # while the answer was on its way
            await self.resign()
        elif lease is not None:
            self._trusted_until = trusted_until(self._asked_at, self._ttl, self._ttl / MARGIN)


def own_lease(name: str, replica: str) -> str:
    """The lease that nobody but this replica asks for, as long as the name of a lease may be."""
    unique = blake2b(replica.encode(), digest_size=8).hexdigest()
    return f"{name[: NAMES['lease'] - len(unique) - 1]}:{unique}"


def is_free(pulse: Pulse, replica: str) -> bool:
    """Whether the lease may be asked for: nobody has it, it has run out, or it is this replica's own."""
    return pulse.lease is None or pulse.lease.until <= pulse.now or pulse.lease.holder == replica
