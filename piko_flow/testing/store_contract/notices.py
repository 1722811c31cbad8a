"""Episodes begin once and end once; what operations leave goes when it is old: checks of NoticeStore."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Final

from piko_flow.errors import RequestRefused
from piko_flow.store.ops_records import Episode, Untold
from piko_flow.store.protocols import Store
from piko_flow.store.texts import NAMES, TOLD
from piko_flow.testing.store_contract.audits import ANSWER, AUDIT
from piko_flow.testing.store_contract.raising import raises
from piko_flow.testing.store_contract.scene import HOUR, Check, StoreUnderTest, lead
from piko_flow.testing.store_contract.tokens import TOKEN, made

LATE: Final = Episode("late", "orders", "orders is late: 🦔")


async def an_episode_lasts_until_it_is_over(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        late = await store.begin_episode(LATE)
        gap = await store.begin_episode(replace(LATE, kind="gap"))
        assert late is not None
        assert gap is not None
        assert late == replace(LATE, id=late.id, since=late.since)
        assert late.since is not None
        assert await other.open_episodes() == [late, gap]
        assert await other.begin_episode(replace(LATE, told="again")) is None
        assert await other.end_episode(late.id)
        assert not await store.end_episode(late.id)
        assert not await store.end_episode(999_999)
        assert await store.open_episodes() == [gap]


async def an_episode_that_is_over_may_come_again(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        numbers = set()
        for _ in range(3):
            late = await store.begin_episode(LATE)
            assert late is not None
            assert await store.open_episodes() == [late]
            numbers.add(late.id)
            assert await store.end_episode(late.id)
        assert len(numbers) == 3


async def what_people_were_not_told_is_found_until_they_are(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        await lead(store)
        now = (await store.pulse("default", "one")).now
        late, gap = await store.begin_episode(LATE), await store.begin_episode(replace(LATE, kind="gap"))
        assert late is not None
        assert gap is not None
        later, most = now + HOUR, 10
        assert await other.untold_episodes(before=now - HOUR, limit=most) == []
        assert await other.untold_episodes(before=later, limit=1) == [Untold(late, begun=True, over=False)]
        await store.note_told(begun=[late.id, 999_999], over=[])
        assert await other.untold_episodes(before=later, limit=most) == [Untold(gap, begun=True, over=False)]
        for one in (late, gap):
            await store.end_episode(one.id)
        found = await other.untold_episodes(before=later, limit=most)
        told = [(one.episode.kind, one.episode.over_at is not None, one.begun, one.over) for one in found]
        assert told == [("late", True, False, True), ("gap", True, True, True)]
        await other.note_told(begun=[], over=[late.id, gap.id])
        assert [one.over for one in await store.untold_episodes(before=later, limit=most)] == [False]
        await other.note_told(begun=[gap.id], over=[])
        assert await store.untold_episodes(before=later, limit=most) == []


async def of_all_who_begin_an_episode_at_once_one_does(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        for number in range(5):
            late = replace(LATE, subject=f"orders-{number}")
            begun = await asyncio.gather(*(one.begin_episode(late) for one in (store, other, store, other)))
            assert len(begun) - begun.count(None) == 1
            [one] = [one for one in begun if one is not None]
            ended = await asyncio.gather(*(handle.end_episode(one.id) for handle in (store, other, store)))
            assert sorted(ended) == [False, False, True]


async def what_was_told_of_an_episode_is_cut(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        late = await store.begin_episode(replace(LATE, told="🦔" * 10_000))
        assert late is not None
        assert len(late.told) == TOLD["told"]
        await raises(RequestRefused, store.begin_episode(replace(LATE, kind="k" * (NAMES["episode"] + 1))))
        await raises(RequestRefused, store.begin_episode(replace(LATE, subject="s" * (NAMES["subject"] + 1))))


async def left_behind(store: Store) -> None:
    """One row of each kind that goes, and one that stays."""
    await store.add_audit([AUDIT])
    for subject in ("over", "lasting"):
        late = await store.begin_episode(replace(LATE, subject=subject))
        assert late is not None
        if subject == "over":
            await store.end_episode(late.id)
    await store.begin_answer(ANSWER)
    for digit in "01":
        token = await made(store, digit)
        if digit == "0":
            await store.revoke_token(token.id)


async def pruned(store: Store, at: datetime, limit: int = 100) -> int:
    """How much goes of all that is older than this."""
    return await store.prune_operations(before=at, answers=at, tokens=at, limit=limit)


async def what_operations_left_goes_when_it_is_old(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await lead(store)
        await left_behind(store)
        now = (await store.pulse("default", "one")).now
        assert await pruned(store, now - HOUR) == 0
        assert len(await store.audit()) == 1
        assert await pruned(store, now + HOUR) == 4
        assert await store.audit() == []
        assert [one.subject for one in await store.open_episodes()] == ["lasting"]
        assert await store.begin_answer(ANSWER) is None
        assert [one.digest[0] for one in await store.tokens()] == ["1"]


async def audits_answers_and_tokens_are_kept_each_for_its_own_time(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await lead(store)
        await left_behind(store)
        now = (await store.pulse("default", "one")).now
        old, young = now - HOUR, now + HOUR
        assert await store.prune_operations(before=None, answers=old, tokens=young, limit=100) == 1
        assert [one.digest[0] for one in await store.tokens()] == ["1"]
        assert await store.begin_answer(ANSWER) is not None
        assert await store.prune_operations(before=None, answers=young, tokens=young, limit=100) == 1
        assert len(await store.audit()) == 1
        assert await store.prune_operations(before=young, answers=old, tokens=old, limit=100) == 2


async def tokens_that_expired_go_when_that_is_long_ago(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await lead(store)
        now = (await store.pulse("default", "one")).now
        await store.add_token(replace(TOKEN, expires_at=now - HOUR))
        assert await pruned(store, now - 2 * HOUR) == 0
        assert await pruned(store, now) == 1
        assert await store.tokens() == []


async def no_more_of_operations_goes_in_a_call_than_was_asked(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await lead(store)
        await left_behind(store)
        await store.add_audit([AUDIT, AUDIT])
        later = (await store.pulse("default", "one")).now + HOUR
        assert [await pruned(store, later, limit=4) for _ in range(3)] == [4, 2, 0]


CHECKS: Final[tuple[Check, ...]] = (
    an_episode_lasts_until_it_is_over,
    an_episode_that_is_over_may_come_again,
    what_people_were_not_told_is_found_until_they_are,
    of_all_who_begin_an_episode_at_once_one_does,
    what_was_told_of_an_episode_is_cut,
    what_operations_left_goes_when_it_is_old,
    audits_answers_and_tokens_are_kept_each_for_its_own_time,
    tokens_that_expired_go_when_that_is_long_ago,
    no_more_of_operations_goes_in_a_call_than_was_asked,
)
