"""Telling people that something is wrong, once, and once more when it is over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from piko_flow.clock import Clock
from piko_flow.control.leader.leadership import own_lease
from piko_flow.control.notice_options import NoticeOptions
from piko_flow.control.notices import notice_rules as rules
from piko_flow.control.notices import stopped_flows as stopped
from piko_flow.control.notices.notice_delivery import Deliver, places
from piko_flow.control.notices.notice_outbox import MOST, Outbox
from piko_flow.control.notices.notice_rules import Standing
from piko_flow.control.replica.replica import Replica
from piko_flow.control.replica.survey import Seen
from piko_flow.errors import StoreUnavailable
from piko_flow.store.ops_records import Episode
from piko_flow.store.protocols import Store

# Longer than a notice is tried: what has not been told by then went with a process.
LOST = timedelta(minutes=5)
Telling = tuple[int, str]
"""The number of an episode, and "begun" or "over"."""


class Notices:
    """Compares what is so with what people were told. Of several replicas one tells: the store lets one begin an episode.

    Each place has its own queue. What cannot be delivered is tried again with the next steps; if this process ends
    before, whoever leads LOST later tells it; while nobody leads, the replicas that live, each LOST after the one before
    it, for as long as nobody has told it. So people are told at least once, unless it is given up.
    """

    def __init__(
        self,
        *,
        store: Store,
        replica: Replica,
        flows: Collection[str],
        options: NoticeOptions,
        clock: Clock,
        places: Sequence[Deliver],
        lease: str,
        seen: Callable[[], Seen | None],
    ) -> None:
        self._lease, self._seen = lease, seen
        self._store, self._replica, self._flows = store, replica, flows
        self._options, self._clock = options, clock
        self._outboxes = [Outbox(deliver, clock) for deliver in places]
        self._leaderless_since: float | None = None
        self._waiting: Counter[Telling] = Counter()  # at how many places
        self._told: set[Telling] = set()

    async def step(self) -> None:
        """Look once, and tell what has begun and what is over. What the store does not answer is looked at next time."""
        with suppress(StoreUnavailable):  # which the ticks tell
            await self._look()
        async with asyncio.TaskGroup() as sending:
            for outbox in self._outboxes:
                sending.create_task(outbox.send(), name="notices")
        with suppress(StoreUnavailable):
            await self._note()

    async def _look(self) -> None:
        pulse = await self._store.pulse(self._lease, "")
        somebody_leads = pulse.lease is not None and pulse.lease.until > pulse.now
        place = 0 if self._replica.leads else None if somebody_leads else await self._place(pulse.now)
        if place is not None:
            await self._tell_what_was_lost(pulse.now, after=(place + 1) * LOST)
        standing = self._leaderless(somebody_leads)
        kinds = {rules.LEADERLESS}
        seen = self._seen()
        if self._replica.leads and seen is not None:
            standing |= await self._seen_by_leader(pulse.now, seen)
            kinds |= rules.SEEN_BY_LEADER
        episodes = {
            (one.kind, one.subject): one for one in await self._store.open_episodes() if one.kind in kinds
        }
        for (kind, subject), text in standing.items():
            if text != rules.UNDECIDED and (kind, subject) not in episodes:
                begun = await self._store.begin_episode(Episode(kind, subject, text))
                if begun is not None:
                    self._tell(begun, "begun", pulse.now)
        for key, episode in episodes.items():
            if key not in standing and await self._store.end_episode(episode.id):
                self._tell(episode, "over", pulse.now)

    async def _place(self, now: datetime) -> int | None:
        """Which this replica is by id of those that live, from 0; None where it does not count as living.

        Each waits for the ones before it, of which some may have nobody whom they tell.
        """
        found = await self._store.replicas()
        alive = sorted(one.id for one in found if one.until is not None and one.until > now)
        own = self._replica.record.id
        return alive.index(own) if own in alive else None

    async def _tell_what_was_lost(self, now: datetime, *, after: timedelta) -> None:
        for untold in await self._store.untold_episodes(before=now - after, limit=MOST):
            for state, waits in (("begun", untold.begun), ("over", untold.over)):
                telling = untold.episode.id, state
                if waits and not self._waiting[telling] and telling not in self._told:
                    self._tell(untold.episode, state, now)

    async def _note(self) -> None:
        """Note in the store what has been told, or given up."""
        if told := frozenset(self._told):
            begun, over = ([number for number, one in told if one == state] for state in ("begun", "over"))
            await self._store.note_told(begun=begun, over=over)
            self._told -= told

    def _leaderless(self, somebody_leads: bool) -> Standing:
        now = self._clock.monotonic()
        if somebody_leads:
            self._leaderless_since = None
            return {}
        if self._leaderless_since is None:
            self._leaderless_since = now
        long = now - self._leaderless_since >= self._options.leaderless.total_seconds()
        return {
            (rules.LEADERLESS, self._lease): "nobody leads: nothing is planned" if long else rules.UNDECIDED
        }

    async def _seen_by_leader(self, now: datetime, seen: Seen) -> Standing:
        reign, store = self._replica.reign, self._store
        assert reign is not None
        last = await store.last_runs(self._flows)
        standing = rules.failed(last)
        standing |= rules.late(list(reign.live.values()), now, self._options.late)
        standing |= rules.gaps(seen.gaps)
        standing |= rules.refused(*stopped.refused(reign, self._flows))
        standing |= rules.held_up(await stopped.held_up(reign, seen, last, now))
        return standing | rules.letters(seen.letters, self._options.letters)

    def _tell(self, episode: Episode, state: str, now: datetime) -> None:
        over = rules.over_told(episode.kind, episode.subject, episode.told)
        text = episode.told if state == "begun" else over
        notice = {
            "kind": episode.kind,
            "subject": episode.subject,
            "state": state,
            "text": text,
            "since": episode.since or now,
            "at": now,
            "episode": episode.id,
            "replica": self._replica.record.id,
        }
        telling = episode.id, state
        self._waiting[telling] = len(self._outboxes)
        for outbox in self._outboxes:
            outbox.add(notice, partial(self._ended, telling))

    def _ended(self, telling: Telling) -> None:
        """It has been told at one more place, or was given up there."""
        self._waiting[telling] -= 1
        if not self._waiting[telling]:
            del self._waiting[telling]
            self._told.add(telling)


def notices_of(
    replica: Replica, store: Store, flows: Collection[str], clock: Clock, seen: Callable[[], Seen | None]
) -> Notices:
    """The notices of a replica, as its options say; `seen` gives what the last survey found while it leads."""
    options = replica.options
    return Notices(
        store=store,
        replica=replica,
        flows=flows,
        options=options.notices,
        clock=clock,
        places=places(options.notices),
        lease=options.lease_name if options.elected else own_lease(options.lease_name, replica.record.id),
        seen=seen,
    )
