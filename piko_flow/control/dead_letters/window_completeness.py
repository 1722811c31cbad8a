"""Whether replays have made a window complete that a run settled with items missing."""

from __future__ import annotations

from dataclasses import dataclass

from piko_flow.control.dead_letters.dead_letters import count_of
from piko_flow.control.dead_letters.replaying import REPLAY
from piko_flow.store.letter_states import DROPPED, OPEN, REPLAYED
from piko_flow.store.protocols import Store
from piko_flow.store.records import DeadLetterRecord

PAGE = 1000  # letters of one question
RUNS = 100  # a run and the replays of its letters that are looked at


@dataclass(frozen=True, slots=True)
class Completeness:
    """Of the items that were dead in a run, and of those that were dead in replays of them: how many were replayed, are
    open, were dropped, or were only counted and cannot be replayed.
    """

    run: int
    replayed: int
    open: int
    dropped: int
    counted: int

    @property
    def complete(self) -> bool:
        """Whether nothing of the window is missing any more."""
        return not (self.open or self.dropped or self.counted)


async def completeness(store: Store, letter: DeadLetterRecord) -> Completeness | None:
    """How complete the window is that the letter's run, or the run that its run replays letters of, has settled.

    None where it is not known any more which run that is.
    """
    begun = await _settling(store, letter.run)
    if begun is None:
        return None
    seen, waiting = set[int](), [begun]
    counts, dead, kept = {REPLAYED: 0, DROPPED: 0, OPEN: 0}, 0, 0
    while waiting and len(seen) < RUNS:
        run = waiting.pop()
        if run in seen:
            continue
        seen.add(run)
        record = await store.run(run)
        letters = await _letters_of(store, run)
        kept += sum(map(count_of, letters))
        dead += record.dead_items if record is not None else 0
        for one in letters:
            counts[one.state] += count_of(one)
            if one.state == REPLAYED and one.replay_run is not None:
                waiting.append(one.replay_run)
    return Completeness(begun, counts[REPLAYED], counts[OPEN], counts[DROPPED], max(dead - kept, 0))


async def _settling(store: Store, run: int) -> int | None:
    """The run itself; of one that replays letters the run that they come of, also through replays of replays."""
    for _ in range(RUNS):
        record = await store.run(run)
        if record is None:
            return None
        if record.origin != REPLAY:
            return run
        replayed = await store.dead_letters(replay_run=run, limit=1)
        if not replayed:
            return None
        run = replayed[0].run
    return None


async def _letters_of(store: Store, run: int) -> list[DeadLetterRecord]:
    found: list[DeadLetterRecord] = []
    while page := await store.dead_letters(run=run, before=found[-1].id if found else None, limit=PAGE):
        found += page
        if len(page) < PAGE:
            break
    return found
