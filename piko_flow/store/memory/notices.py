"""What people were told, and how long what operations leave is kept."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from piko_flow.planning.moment import utc
from piko_flow.store.memory.part import MemoryPart
from piko_flow.store.ops_fitting import fitting_episode
from piko_flow.store.ops_records import Episode, TokenRecord, Untold


class MemoryNotices(MemoryPart):
    """NoticeStore in memory; see the protocol for what is promised."""

    async def open_episodes(self) -> list[Episode]:
        """Those that last, the first one first."""
        self._ask()
        return [one for one in self._rows.episodes.values() if one.over_at is None]

    async def begin_episode(self, episode: Episode) -> Episode | None:
        """Begin an episode, unless one of the same kind and subject lasts: None then."""
        now, rows, episode = self._ask(), self._rows, fitting_episode(episode)
        name = (episode.kind, episode.subject)
        if any((one.kind, one.subject) == name and one.over_at is None for one in rows.episodes.values()):
            return None
        rows.need_room("an episode", rows.episodes)
        begun = replace(episode, id=rows.next_id("episodes"), since=now, over_at=None)
        rows.episodes[begun.id] = begun
        rows.untold.add((begun.id, "begun"))
        return begun

    async def end_episode(self, episode: int) -> bool:
        """End an episode; whether it lasted until now."""
        now, episodes = self._ask(), self._rows.episodes
        known = episodes.get(episode)
        if known is None or known.over_at is not None:
            return False
        episodes[episode] = replace(known, over_at=now)
        self._rows.untold.add((episode, "over"))
        return True

    async def untold_episodes(self, *, before: datetime, limit: int) -> list[Untold]:
        """Those that began, or ended, before this, and of which nobody has noted that people were told so."""
        self._ask()
        at, untold, found = utc(before, "before"), self._rows.untold, list[Untold]()
        for number, one in self._rows.episodes.items():
            begun = (number, "begun") in untold
            over = (number, "over") in untold
            if (begun and _is_before(one.since, at)) or (over and _is_before(one.over_at, at)):
                found.append(Untold(one, begun, over))
        return found[:limit]

    async def note_told(self, *, begun: Collection[int], over: Collection[int]) -> None:
        """Note that people were told of the begin, or the end, of these episodes."""
        self._ask()
        for state, numbers in (("begun", begun), ("over", over)):
            self._rows.untold -= {(number, state) for number in numbers}

    async def prune_operations(
        self, *, before: datetime | None, answers: datetime, tokens: datetime, limit: int
    ) -> int:
        """Delete of each what is older than said, at most `limit`; gives how many went."""
        self._ask()
        told = None if before is None else utc(before, "before")
        asked, good, rows, gone = utc(answers, "answers"), utc(tokens, "tokens"), self._rows, 0
        old: tuple[tuple[dict[Any, Any], Iterable[Hashable]], ...] = (
            (rows.audits, (number for number, one in rows.audits.items() if _is_before(one.at, told))),
            (
                rows.episodes,
                (number for number, one in rows.episodes.items() if _is_before(one.over_at, told)),
            ),
            (rows.answers, (place for place, one in rows.answers.items() if _is_before(one.at, asked))),
            (rows.tokens, (number for number, one in rows.tokens.items() if _is_over(one, good))),
        )
        for table, found in old:
            gone += _deleted(table, list(islice(found, limit - gone)))
        rows.untold = {(number, state) for number, state in rows.untold if number in rows.episodes}
        return gone


def _deleted(table: dict[Any, Any], keys: Sequence[Hashable]) -> int:
    for key in keys:
        del table[key]
    return len(keys)


def _is_over(token: TokenRecord, at: datetime) -> bool:
    return _is_before(token.revoked_at, at) or _is_before(token.expires_at, at)


def _is_before(moment: datetime | None, at: datetime | None) -> bool:
    return moment is not None and at is not None and moment < at
