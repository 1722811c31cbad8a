"""What it takes to know who comes often: one question in two seconds for all who do, and none while nobody comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.errors import StoreUnavailable
from piko_flow.ops.door.known_tokens import IN_USE, REMEMBERED, KnownTokens
from piko_flow.ops.door.tokens import issue_token
from piko_flow.ops.door_options import DoorOptions
from piko_flow.store.ops_records import Role, TokenKind, TokenRecord
from tests.unit.planes import Scene, scene

HOUR = 3600.0


class Desk:
    """Tokens of a store in memory, and a door that knows them; `gate` holds the answers back while it is closed."""

    def __init__(self) -> None:
        self.it: Scene = scene()
        self.known = KnownTokens(self.ask, DoorOptions(), self.it.clock)
        self.asked, self.away = 0, False
        self.gate, self.reached = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def ask(self, work: Callable[[ControlPlane], Awaitable[Any]]) -> Any:
        self.asked += 1
        away = self.away
        answer = None if away else await work(self.it.plane)
        self.reached.set()
        await self.gate.wait()
        if away:
            raise StoreUnavailable(what="do that", reason="it is away")
        return answer

    async def issued(self, name: str) -> tuple[TokenRecord, str]:
        return await issue_token(self.it.plane, name, Role.VIEWER, lasting=timedelta(days=1))

    async def come(self, *secrets: str) -> list[bool]:
        """Whether each of them is let in, all coming at once."""
        found = await asyncio.gather(*(self.known.find(one, TokenKind.API) for one in secrets))
        return [one is not None for one in found]

    async def waiting(self, *secrets: str) -> asyncio.Task[list[bool]]:
        """They come, and the store has been asked but does not answer yet."""
        self.gate.clear()
        self.reached.clear()
        coming = asyncio.create_task(self.come(*secrets), name="come")
        await self.reached.wait()
        return coming


async def test_many_who_come_often_cost_one_question_in_two_seconds() -> None:
    desk = Desk()
    secrets = [(await desk.issued(f"t{number}"))[1] for number in range(50)]
    assert all(await desk.come(*secrets))
    assert desk.asked == 50, "one that was not seen before is looked up at once"
    for _ in range(40):
        await desk.it.clock.advance(0.5)
        assert all(await desk.come(*secrets))
    assert desk.asked == 50 + 10


async def test_who_has_not_come_for_a_while_is_not_asked_about() -> None:
    desk = Desk()
    (often, often_secret), (seldom, seldom_secret) = await desk.issued("often"), await desk.issued("seldom")
    assert await desk.come(often_secret, seldom_secret) == [True, True]
    asked = desk.asked
    await desk.it.clock.advance(HOUR)
    assert desk.asked == asked, "got nobody"
    for _ in range(30):
        await desk.it.clock.advance(2)
        assert await desk.come(often_secret) == [True]
    used = {one.name: one.used_at for one in await desk.it.store.tokens()}
    assert (often.used_at, seldom.used_at) == (None, None)
    latest, once = used["often"], used["seldom"]
    assert latest is not None
    assert once is not None
    assert latest - once >= timedelta(hours=1)
    assert await desk.come(seldom_secret) == [True]
    assert timedelta(seconds=IN_USE) > DoorOptions().looked_again, "or each stream would ask by itself"


async def test_one_that_is_revoked_is_out_within_two_seconds_however_often_others_come() -> None:
    desk = Desk()
    (token, secret), (_, other) = await desk.issued("one"), await desk.issued("other")
    assert await desk.come(secret, other) == [True, True]
    await desk.it.clock.advance(1)
    await desk.it.store.revoke_token(token.id)
    assert await desk.come(secret, other) == [True, True]
    await desk.it.clock.advance(1)
    assert await desk.come(other, secret) == [True, False]
    assert not desk.known.has_met(secret)
    assert await desk.come(secret) == [False]


async def test_a_slow_answer_counts_for_nobody_who_came_too_late_for_it() -> None:
    desk = Desk()
    token, secret = await desk.issued("one")
    assert await desk.come(secret) == [True]
    await desk.it.clock.advance(2)
    first = await desk.waiting(secret)
    await desk.it.store.revoke_token(token.id)
    await desk.it.clock.advance(2)
    later = [asyncio.create_task(desk.come(secret), name="later") for _ in range(5)]
    await asyncio.sleep(0)
    asked = desk.asked
    desk.gate.set()
    assert await first == [True]
    assert [await one for one in later] == [[False]] * 5
    assert desk.asked == asked + 1, "one question for all who waited"


async def test_all_who_wait_while_the_store_is_away_hear_so_at_once() -> None:
    desk = Desk()
    _, secret = await desk.issued("one")
    assert await desk.come(secret) == [True]
    desk.away = True
    assert await desk.come(secret) == [True], "it was good a moment ago"
    await desk.it.clock.advance(2)
    first = await desk.waiting(secret)
    others = [asyncio.create_task(desk.come(secret), name="other") for _ in range(5)]
    await asyncio.sleep(0)
    asked = desk.asked
    desk.gate.set()
    for one in (first, *others):
        with pytest.raises(StoreUnavailable, match="it is away"):
            await one
    assert desk.asked == asked
    desk.away = False
    assert await desk.come(secret) == [True]


async def test_who_waits_for_one_that_leaves_asks_for_itself() -> None:
    desk = Desk()
    _, secret = await desk.issued("one")
    assert await desk.come(secret) == [True]
    await desk.it.clock.advance(2)
    first = await desk.waiting(secret)
    other = asyncio.create_task(desk.come(secret), name="other")
    await asyncio.sleep(0)
    first.cancel()
    desk.gate.set()
    assert await other == [True]
    assert first.cancelled()


async def test_one_that_is_forgotten_while_the_store_is_asked_stays_forgotten() -> None:
    desk = Desk()
    token, secret = await desk.issued("one")
    assert await desk.come(secret) == [True]
    await desk.it.clock.advance(2)
    first = await desk.waiting(secret)
    await desk.it.store.revoke_token(token.id)
    desk.known.forget(token)
    desk.gate.set()
    await first
    assert await desk.come(secret) == [False]


async def test_a_bounded_number_is_remembered_and_who_came_last_is_among_them() -> None:
    desk = Desk()
    secrets = [(await desk.issued(f"t{number}"))[1] for number in range(REMEMBERED + 1)]
    assert all(await desk.come(*secrets[:REMEMBERED]))
    assert await desk.come(secrets[0]) == [True]
    assert await desk.come(secrets[-1]) == [True]
    assert [desk.known.has_met(one) for one in (secrets[0], secrets[1], secrets[-1])] == [True, False, True]
