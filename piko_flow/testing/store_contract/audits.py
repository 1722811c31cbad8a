"""What was changed is listed; an answer is kept for the request that comes again: checks of DoorStore."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

from piko_flow.errors import RequestRefused
from piko_flow.store.ops_records import AuditRecord, KeptAnswer
from piko_flow.store.texts import NAMES, TOLD
from piko_flow.testing.store_contract.raising import raises
from piko_flow.testing.store_contract.scene import HOUR, Check, StoreUnderTest

AUDIT: Final = AuditRecord("ann", "api", "schedule.set", "flow orders", '{"a": 1}', '{"a": "🦔"}')
ANSWER: Final = KeptAnswer("key-1", "ann", "d" * 64)


async def what_was_changed_is_listed_newest_first(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        await store.add_audit([AUDIT, replace(AUDIT, subject="flow mail", before="", after="")])
        await other.add_audit([replace(AUDIT, who="bob", via="cli")])
        await store.add_audit([])
        newest, mail, first = await store.audit()
        assert newest.at is not None
        assert first == replace(AUDIT, id=first.id, at=first.at)
        assert (newest.who, newest.via, mail.subject, mail.before) == ("bob", "cli", "flow mail", "")
        assert newest.id > mail.id > first.id
        assert await store.audit(subject="flow orders") == [newest, first]
        assert await store.audit(subject="flow") == []
        assert await store.audit(before=newest.id) == [mail, first]
        assert await store.audit(subject="flow orders", before=newest.id) == [first]
        assert await store.audit(limit=1) == [newest]


async def long_texts_of_audits_are_cut_and_never_refused(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        long = "🦔" * 5000
        await store.add_audit([AuditRecord(long, long, long, long, f'"{long}"', "nul \0")])
        [kept] = await store.audit()
        sizes = [len(text) for text in (kept.who, kept.via, kept.action, kept.subject)]
        assert sizes == [TOLD[name] for name in ("changed_by", "via", "action", "changed")]
        assert kept.before == f'"{long}"'
        assert kept.after == "nul \N{SYMBOL FOR NULL}"


async def an_answer_is_kept_for_whoever_asks_again(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        assert await store.begin_answer(ANSWER) is None
        begun = await other.begin_answer(replace(ANSWER, asked="e" * 64))
        assert begun is not None
        assert begun.at is not None
        assert begun == replace(ANSWER, at=begun.at)
        answered = replace(ANSWER, status=201, body='{"text": "🦔"}')
        await store.end_answer(answered)
        assert await other.begin_answer(ANSWER) == replace(answered, at=begun.at)


async def answers_are_kept_by_key_and_person(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.end_answer(replace(ANSWER, status=200, body="1"))
        for other in (replace(ANSWER, key="key-2"), replace(ANSWER, who="bob"), replace(ANSWER, key="KEY-1")):
            assert await store.begin_answer(other) is None
        kept = await store.begin_answer(ANSWER)
        assert kept is not None
        assert (kept.status, kept.body) == (200, "1")


async def a_request_that_came_to_nothing_can_be_made_again(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.begin_answer(ANSWER)
        await store.begin_answer(replace(ANSWER, who="bob"))
        await store.end_answer(ANSWER)
        assert await store.begin_answer(ANSWER) is None
        assert await store.begin_answer(replace(ANSWER, who="bob")) is not None
        await store.end_answer(replace(ANSWER, key="never begun"))


async def an_answer_that_is_over_makes_room_for_the_next_on_its_key(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        await store.begin_answer(ANSWER)
        assert await other.begin_answer(ANSWER, kept=-HOUR) is not None, "it is not answered, and not lost"
        assert await other.begin_answer(replace(ANSWER, asked="e" * 64), lost=-HOUR) is None
        await other.end_answer(replace(ANSWER, asked="e" * 64, status=201, body="1"))
        there = await store.begin_answer(ANSWER, lost=-HOUR)
        assert there is not None
        assert (there.asked, there.status, there.body) == ("e" * 64, 201, "1")
        assert await store.begin_answer(ANSWER, kept=-HOUR) is None
        begun = await other.begin_answer(ANSWER)
        assert begun is not None
        assert begun == replace(ANSWER, at=begun.at)


async def an_answer_that_is_over_is_replaced_by_one_of_all_who_ask_at_once(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        for _ in range(5):
            await store.end_answer(replace(ANSWER, status=201, body="1"))
            asked = (one.begin_answer(ANSWER, kept=-HOUR) for one in (store, other, store, other))
            assert (await asyncio.gather(*asked)).count(None) == 1


async def of_all_who_ask_with_one_key_at_once_one_is_answered(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        for number in range(5):
            asked = replace(ANSWER, key=f"key-{number}")
            found = await asyncio.gather(*(one.begin_answer(asked) for one in (store, other, store, other)))
            assert found.count(None) == 1


async def names_of_answers_that_are_too_long_are_refused(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        for name in ("key", "who", "asked"):
            columns: dict[str, Any] = {name: "n" * (NAMES[name] + 1)}
            await raises(RequestRefused, store.begin_answer(replace(ANSWER, **columns)))


CHECKS: Final[tuple[Check, ...]] = (
    what_was_changed_is_listed_newest_first,
    long_texts_of_audits_are_cut_and_never_refused,
    an_answer_is_kept_for_whoever_asks_again,
    answers_are_kept_by_key_and_person,
    a_request_that_came_to_nothing_can_be_made_again,
    an_answer_that_is_over_makes_room_for_the_next_on_its_key,
    an_answer_that_is_over_is_replaced_by_one_of_all_who_ask_at_once,
    of_all_who_ask_with_one_key_at_once_one_is_answered,
    names_of_answers_that_are_too_long_are_refused,
)
