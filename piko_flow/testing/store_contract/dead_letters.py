"""Dead letters are listed, grouped, taken by one replay at a time, replayed and dropped: checks of all subjects."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Requeue
from piko_flow.store.protocols import Store
from piko_flow.store.records import DeadLetterRecord, RunRecord
from piko_flow.testing.store_contract.scene import (
    HOUR,
    Check,
    StoreUnderTest,
    end,
    ending,
    hour,
    queue,
    start,
    wanted,
)

LETTER: Final = DeadLetterRecord(
    *("mail", 0, "parse", '{"type":"int","value":3}', "ValueError", "no id", "f" * 32),
    model="int",
    batch=True,
    sink="orders",
    item_key="order 3",
    place="orders.py:parse",
    trace="Traceback\n  line",
    window=hour(1),
    params_version=7,
    payload_file="/letters/3.json",
)


async def failed_with(store: Store, *letters: DeadLetterRecord, number: int = 1) -> list[DeadLetterRecord]:
    """The letters of a run that has ended with them, oldest first."""
    [run] = await start(store, wanted(number))
    await end(store, ending(run, dead_letters=letters, dead_items=len(letters)))
    return [one for one in reversed(await store.dead_letters()) if one.run == run.id]


async def taking(store: Store, *letters: DeadLetterRecord, number: int = 10, claim: bool = True) -> RunRecord:
    """A run that replays these letters."""
    new = wanted(number, origin="replay", letters=tuple(letter.id for letter in letters))
    [run] = await (start(store, new) if claim else queue(store, new))
    return run


async def taken(store: Store, run: RunRecord) -> list[int]:
    """The numbers of the letters that the run has to replay."""
    return [letter.id for letter in await store.letters_to_replay(run.id, limit=100)]


async def states(store: Store) -> list[str]:
    """The states of all letters, oldest first."""
    return [letter.state for letter in reversed(await store.dead_letters())]


async def a_letter_comes_back_with_all_that_it_was_stored_with(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [letter] = await failed_with(store, LETTER)
        assert letter.created_at is not None
        assert letter == replace(LETTER, run=letter.run, id=letter.id, created_at=letter.created_at)
        assert await store.dead_letters_of([letter.id, letter.id + 1]) == [letter]
        assert await store.dead_letters_of([]) == []


async def letters_are_found_by_flow_fingerprint_state_and_number(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, other, last = await failed_with(store, LETTER, replace(LETTER, fingerprint="e" * 32), LETTER)
        await store.drop_dead_letters([first.id])
        assert [one.id for one in await store.dead_letters(fingerprint="f" * 32)] == [last.id, first.id]
        assert await store.dead_letters(fingerprint="f" * 32, state="open") == [last]
        assert await store.dead_letters(fingerprint="eee") == [other]
        for none in ("E", "f_", "%", "f" * 33):
            assert await store.dead_letters(fingerprint=none) == []
        assert await store.dead_letters(flow="mail", state="open", before=last.id) == [other]
        assert await store.dead_letters(flow="other") == []
        assert [one.id for one in await store.dead_letters(state="dropped")] == [first.id]


async def open_letters_of_one_fingerprint_are_a_group(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, _, alone = await failed_with(store, LETTER, LETTER, replace(LETTER, fingerprint="e" * 32))
        [newest] = await failed_with(store, replace(LETTER, error_msg="no name"), number=2)
        groups = await store.letter_groups()
        assert [(one.flow, one.fingerprint, one.count, one.example) for one in groups] == [
            ("mail", "f" * 32, 3, newest),
            ("mail", "e" * 32, 1, alone),
        ]
        assert (groups[0].first, groups[0].last) == (first.created_at, newest.created_at)
        assert await store.letter_groups(limit=1) == groups[:1]
        assert await store.letter_groups(flow="other") == []
        assert await store.letter_groups(flow="mail", fingerprint="e" * 32) == groups[1:]
        assert await store.letter_groups(fingerprint="e" * 31) == []
        await store.drop_dead_letters([alone.id])
        assert [one.count for one in await store.letter_groups(flow="mail")] == [3]


async def open_letters_are_counted_by_flow(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        assert await store.open_letters() == {}
        _, _, last = await failed_with(store, LETTER, LETTER, replace(LETTER, fingerprint="e" * 32))
        await store.keep_dead_letters([replace(LETTER, flow="other", run=9)])
        assert await store.open_letters() == {"mail": 3, "other": 1}
        assert await store.open_letters(["other", "nobody"]) == {"other": 1}
        assert await store.open_letters([]) == {}
        await store.drop_dead_letters([last.id])
        assert await store.open_letters() == {"mail": 2, "other": 1}


async def letters_that_come_of_no_run_are_kept(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.keep_dead_letters([LETTER, replace(LETTER, flow="", run=9)])
        await store.keep_dead_letters([])
        assert [(one.flow, one.run) for one in await store.dead_letters()] == [("", 9), ("mail", 0)]


async def a_run_takes_the_letters_that_it_replays(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, second, third = await failed_with(store, LETTER, LETTER, LETTER)
        run = await taking(store, first, third)
        assert [one.id for one in await store.letters_to_replay(run.id, limit=1)] == [first.id]
        assert [one.id for one in await store.letters_to_replay(run.id, after=first.id, limit=9)] == [
            third.id
        ]
        assert await states(store) == ["open"] * 3
        assert await taken(store, replace(run, id=run.id + 1)) == []
        assert (await store.dead_letters_of([second.id]))[0].replay_run is None
        assert [one.id for one in await store.dead_letters(replay_run=run.id)] == [third.id, first.id]
        assert await store.dead_letters(replay_run=run.id + 1) == []


async def a_letter_is_replayed_by_one_live_run_at_a_time(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, second = await failed_with(store, LETTER, LETTER)
        one = await taking(store, first, claim=False)
        other = await taking(store, first, second, number=11)
        assert (await taken(store, one), await taken(store, other)) == ([first.id], [second.id])
        await store.cancel(one.id, by="somebody")
        third = await taking(store, first, second, number=12)
        assert await taken(store, third) == [first.id]


async def of_two_who_replay_a_letter_at_once_one_has_it(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        for number in range(5):
            [letter] = await failed_with(store, LETTER, number=number)
            runs = await asyncio.gather(
                taking(store, letter, number=20 + number, claim=False),
                taking(other, letter, number=40 + number, claim=False),
            )
            assert sorted([await taken(store, run) for run in runs]) == [[], [letter.id]]


async def what_a_run_has_replayed_is_done_but_for_what_failed_again(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        well, again, shorter, other = await failed_with(store, LETTER, LETTER, LETTER, LETTER)
        run = await taking(store, well, again, shorter)
        news: dict[str, Any] = {"error_type": "KeyError", "error_msg": "no name", "fingerprint": "e" * 32}
        told = replace(again, payload="", place="orders.py:other", trace="again", **news)
        less = replace(shorter, payload='{"type":"list","value":[3]}')
        written = await end(store, ending(run, replayed=True, again=(told, less), dead_items=2))
        assert await states(store) == ["replayed", "open", "open", "open"]
        _, found, cut, left = reversed(await store.dead_letters())
        assert left == other
        assert found == replace(
            told, payload=again.payload, attempt=2, failed_at=written.now, replay_run=run.id
        )
        assert (cut.payload, cut.attempt) == (less.payload, 2)
        next_run = await taking(store, found, number=11)
        assert await taken(store, next_run) == [found.id]
        [group] = await store.letter_groups(flow="mail", limit=1)
        assert group.example == left


async def a_replay_that_fails_or_goes_back_leaves_its_letters_open(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        letters = await failed_with(store, LETTER, LETTER)
        run = await taking(store, *letters)
        await store.write(Batch("one", requeues=[Requeue(run.id, run.claim, "released")]))
        assert len(await taken(store, run)) == 2
        other = await taking(store, *letters, number=11)
        assert await taken(store, other) == []
        await store.cancel(run.id, by="somebody")
        failing = await taking(store, *letters, number=12)
        await end(store, ending(failing, RunStatus.FAILED))
        assert await states(store) == ["open"] * 2


async def a_stale_end_of_a_replay_replays_nothing(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [letter] = await failed_with(store, LETTER)
        run = await taking(store, letter)
        written = await end(store, ending(replace(run, claim=run.claim + 1), replayed=True))
        assert written.stale == {run.id}
        assert await states(store) == ["open"]


async def dropped_letters_lose_their_items_unless_a_replay_has_them(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, second, third = await failed_with(store, LETTER, LETTER, LETTER)
        run = await taking(store, second)
        assert await store.drop_dead_letters([first.id, second.id, 999_999]) == [first]
        assert await store.drop_dead_letters([first.id]) == []
        assert await store.drop_dead_letters([]) == []
        assert await states(store) == ["dropped", "open", "open"]
        [gone] = await store.dead_letters_of([first.id])
        assert (gone.payload, gone.trace, gone.payload_file) == ("{}", "", "")
        await end(store, ending(run, replayed=True))
        assert await store.drop_dead_letters([second.id, third.id]) == [third]


async def old_letters_go_with_their_run_and_those_without_a_run_by_age(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [letter] = await failed_with(store, LETTER)
        await store.keep_dead_letters([LETTER])
        assert letter.created_at is not None
        await store.prune(before=letter.created_at, keep=10, limit=10)
        assert len(await store.dead_letters()) == 2
        await store.prune(before=None, keep=0, limit=10)
        assert [one.run for one in await store.dead_letters()] == [0]
        await store.prune(before=letter.created_at + HOUR, keep=None, limit=10)
        assert await store.dead_letters() == []


async def letters_of_one_run_are_listed_alone(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first = await failed_with(store, LETTER, LETTER, number=1)
        second = await failed_with(store, LETTER, number=2)
        assert await store.dead_letters(run=second[0].run) == second
        assert await store.dead_letters(run=first[0].run, before=first[1].id) == first[:1]


async def old_letters_are_deleted_but_for_those_that_a_live_run_replays(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        letters = await failed_with(store, LETTER, LETTER, LETTER)
        [newest] = [one.created_at for one in letters if one.id == letters[-1].id]
        assert newest is not None
        run = await taking(store, letters[1])
        assert await store.prune_dead_letters(before=newest, limit=100) == 0
        assert await store.prune_dead_letters(before=newest + HOUR, limit=1) == 1
        assert await store.prune_dead_letters(before=newest + HOUR, limit=100) == 1
        assert await taken(store, run) == [letters[1].id]
        await end(store, ending(run, replayed=True))
        assert await store.prune_dead_letters(before=newest + HOUR, limit=100) == 1
        assert await store.dead_letters() == []


async def old_letters_behind_those_that_a_live_run_replays_are_found(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, second, third = await failed_with(store, LETTER, LETTER, LETTER)
        assert third.created_at is not None
        run = await taking(store, first)
        assert await store.prune_dead_letters(before=third.created_at + HOUR, limit=1) == 1
        assert await store.dead_letters_of([second.id]) == []
        assert await store.prune_dead_letters(before=third.created_at + HOUR, limit=1) == 1
        assert await store.prune_dead_letters(before=third.created_at + HOUR, limit=1) == 0
        assert await taken(store, run) == [first.id]


async def the_files_of_open_letters_are_told(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        one, two, _ = await failed_with(
            store,
            LETTER,
            replace(LETTER, payload_file="/letters/4.json"),
            replace(LETTER, payload_file=""),
        )
        assert await store.letter_files() == {one.payload_file, two.payload_file}
        await store.drop_dead_letters([one.id])
        assert await store.letter_files() == {two.payload_file}


CHECKS: Final[tuple[Check, ...]] = (
    a_letter_comes_back_with_all_that_it_was_stored_with,
    letters_are_found_by_flow_fingerprint_state_and_number,
    open_letters_of_one_fingerprint_are_a_group,
    open_letters_are_counted_by_flow,
    letters_that_come_of_no_run_are_kept,
    a_run_takes_the_letters_that_it_replays,
    a_letter_is_replayed_by_one_live_run_at_a_time,
    of_two_who_replay_a_letter_at_once_one_has_it,
    what_a_run_has_replayed_is_done_but_for_what_failed_again,
    a_replay_that_fails_or_goes_back_leaves_its_letters_open,
    a_stale_end_of_a_replay_replays_nothing,
    dropped_letters_lose_their_items_unless_a_replay_has_them,
    old_letters_go_with_their_run_and_those_without_a_run_by_age,
    letters_of_one_run_are_listed_alone,
    old_letters_are_deleted_but_for_those_that_a_live_run_replays,
    old_letters_behind_those_that_a_live_run_replays_are_found,
    the_files_of_open_letters_are_told,
)
