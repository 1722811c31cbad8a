"""Replaying dead letters: runs of their own are queued for them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from piko_flow.control.dead_letters.replaying import REPLAY
from piko_flow.control.leader.new_runs import instant_key
from piko_flow.control.leader.params_book import ParamsBook
from piko_flow.control.operations.gates import Alike, Gates
from piko_flow.control.operations.plane_dead_letters import PlaneDeadLetters, WhichLetters
from piko_flow.counting import counted
from piko_flow.errors import RequestRefused
from piko_flow.store.records import DeadLetterRecord, NewRun, RunRecord
from piko_flow.store.seen import Seen

RUNS = 50  # of one request


@dataclass(frozen=True, slots=True)
class Untaken:
    """A letter that was not taken, and why."""

    letter: int
    reason: str


@dataclass(frozen=True, slots=True)
class Replaying:
    """A run that was queued, and the letters that it was given."""

    run: RunRecord
    letters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """The replays that were queued, and the letters that cannot be replayed.

    `more` says that there are more of this kind: ask again when these have ended.
    """

    replays: tuple[Replaying, ...]
    untaken: tuple[Untaken, ...]
    more: bool

    @property
    def runs(self) -> list[RunRecord]:
        """The runs that were queued."""
        return [one.run for one in self.replays]


class PlaneReplays(PlaneDeadLetters):
    """Replay."""

    async def replay(
        self, which: WhichLetters, *, by: str = "", expected: Seen | None = None
    ) -> ReplayRequest:
        """Queue runs that replay these letters, at most 500 of them: one run for all that enter at one stage, in one
        window, with the same parameters.

        A letter is taken by one replay at a time: of those that another has taken by then none is given to two.
        Letters that cannot be replayed are told with the reason; refused where that are all. Of what is `expected` a
        letter has its state and attempt.
        """
        chosen, more = await self.chosen(which, "replay", expected)
        gates, groups, untaken = Gates(self), dict[Alike, list[DeadLetterRecord]](), list[Untaken]()
        for letter in reversed(chosen):  # the oldest first
            try:
                alike = await gates.check(letter)
            except RequestRefused as error:
                if len(chosen) == 1:
                    raise
                untaken.append(Untaken(letter.id, str(error)))
            else:
                groups.setdefault(alike, []).append(letter)
        if not groups:
            raise RequestRefused(
                what=f"replay {counted(len(untaken), 'dead letter')}",
                rule="one of them can be",
                got=untaken[0].reason,
            )
        first = list(groups.items())[:RUNS]
        now = await self.now()
        replays = [await self._queued(alike, letters, now, by) for alike, letters in first]
        return ReplayRequest(tuple(replays), tuple(untaken), more or len(first) < len(groups))

    async def _queued(
        self, alike: Alike, letters: list[DeadLetterRecord], now: datetime, by: str
    ) -> Replaying:
        version, ids = None, tuple(letter.id for letter in letters)
        if alike.params_version is not None:
            version = await self.store.params_version(alike.params_version)
        elif alike.sink:  # its sink sees no parameters, but the run has to have some
            version = ParamsBook(await self.store.params(alike.flow)).in_force(alike.flow, now)
        made = await self.queue(
            NewRun(
                flow=alike.flow,
                scheduled_time=now,
                key=f"{REPLAY}:{instant_key(now)}-{secrets.token_hex(4)}",
                origin=REPLAY,
                params_version=None if version is None else version.id,
                params=alike.params,
                config_version=None if version is None else version.version,
                requested_by=by or self.actor.who,
                letters=ids,
            )
        )
        assert made is not None  # its key is its own
        after = {"flow": made.flow, "letters": ids}
        await self.changed("dead_letter.replay", f"run {made.id}", after=after, by=by)
        return Replaying(made, ids)
