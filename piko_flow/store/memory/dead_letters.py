"""Dead letters: listed, grouped, kept, dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from piko_flow.planning.moment import utc
from piko_flow.planning.run_state import LIVE
from piko_flow.store.fitting import fitting_letter
from piko_flow.store.letter_states import OPEN, dropped, is_free, is_replayed_by
from piko_flow.store.memory.part import MemoryPart
from piko_flow.store.records import DeadLetterRecord, LetterGroup


class MemoryLetters(MemoryPart):
    """The part of the store that knows dead letters; see the protocols for what is promised."""

    async def dead_letters(
        self,
        *,
        flow: str | None = None,
        fingerprint: str | None = None,
        state: str | None = None,
        run: int | None = None,
        replay_run: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[DeadLetterRecord]:
        """Dead letters of all flows or of one, newest first."""
        self._ask()
        found = (
            letter
            for letter in reversed(self._rows.letters.values())
            if flow in (None, letter.flow)
            and (fingerprint is None or letter.fingerprint.startswith(fingerprint))
            and state in (None, letter.state)
            and run in (None, letter.run)
            and replay_run in (None, letter.replay_run)
            and (before is None or letter.id < before)
        )
        return list(islice(found, limit))

    async def dead_letters_of(self, ids: Collection[int]) -> list[DeadLetterRecord]:
        """The letters of these numbers, newest first; those that are not there are left out."""
        self._ask()
        letters = self._rows.letters
        return [letters[number] for number in sorted(set(ids), reverse=True) if number in letters]

    async def letter_groups(
        self, *, flow: str | None = None, fingerprint: str | None = None, limit: int = 100
    ) -> list[LetterGroup]:
        """The open letters that failed alike, together; the group with the newest letter first."""
        self._ask()
        alike: dict[tuple[str, str], list[DeadLetterRecord]] = {}
        for letter in self._rows.letters.values():
            of_group = flow in (None, letter.flow) and fingerprint in (None, letter.fingerprint)
            if letter.state == OPEN and of_group:
                alike.setdefault((letter.flow, letter.fingerprint), []).append(letter)
        groups = [_group(letters) for letters in alike.values()]
        return sorted(groups, key=lambda group: group.example.id, reverse=True)[:limit]

    async def open_letters(self, flows: Collection[str] | None = None) -> dict[str, int]:
        """How many letters of each of these flows, or of all, are open; flows without any are left out."""
        self._ask()
        found = Counter(letter.flow for letter in self._rows.letters.values() if letter.state == OPEN)
        return {flow: count for flow, count in found.items() if flows is None or flow in flows}

    async def letters_to_replay(self, run: int, *, after: int = 0, limit: int) -> list[DeadLetterRecord]:
        """The open letters that the run has taken, by number, those above `after`."""
        self._ask()
        taken = (one for one in self._rows.letters.values() if one.id > after and is_replayed_by(one, run))
        return list(islice(taken, limit))

    async def keep_dead_letters(self, letters: Sequence[DeadLetterRecord]) -> None:
        """Store letters that come of no run's end."""
        now, fit = self._ask(), list(map(fitting_letter, letters))
        with self._rows.transaction():
            for letter in fit:
                self._rows.add_letter(replace(letter, created_at=now))

    async def prune_dead_letters(self, *, before: datetime, limit: int) -> int:
        """Delete letters older than `before`, but for those that a live run replays; gives how many went."""
        self._ask()
        at, rows = utc(before, "before"), self._rows
        old = [
            one.id
            for one in rows.letters.values()
            if one.created_at is not None
            and one.created_at < at
            and ((replay := rows.runs.get(one.replay_run or 0)) is None or replay.status not in LIVE)
        ][:limit]
        for number in old:
            del rows.letters[number]
        return len(old)

    async def letter_files(self) -> set[str]:
        """The files in which the payloads of open dead letters lie."""
        self._ask()
        return {
            one.payload_file for one in self._rows.letters.values() if one.state == OPEN and one.payload_file
        }

    async def drop_dead_letters(self, ids: Collection[int]) -> list[DeadLetterRecord]:
        """Drop those of these letters that are open and that no live run replays; gives them as they were."""
        self._ask()
        rows = self._rows
        free = [
            letter
            for number in sorted(set(ids), reverse=True)
            if (letter := rows.letters.get(number)) is not None
            and is_free(letter, rows.runs.get(letter.replay_run or 0))
        ]
        with rows.transaction():
            for letter in free:
                rows.put(rows.letters, letter.id, dropped(letter))
        return free


def _group(letters: Sequence[DeadLetterRecord]) -> LetterGroup:
    first, newest = letters[0], letters[-1]
    got = [letter.created_at for letter in letters if letter.created_at is not None]
    failed: list[datetime] = [letter.failed_at for letter in letters if letter.failed_at is not None]
    return LetterGroup(first.flow, first.fingerprint, len(letters), min(got), max([*got, *failed]), newest)
