"""A request with an idempotency key changes something once, however often it comes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.errors import StoreUnavailable
from piko_flow.store.ops_records import KeptAnswer, Role
from tests.unit.api_worlds import ApiWorld, api_world
from tests.unit.planes import queued

T = TypeVar("T")
KEY = {"Idempotency-Key": "a-key"}


async def trigger(world: ApiWorld, body: Any = None, status: int = 201, **headers: str) -> tuple[str, bool]:
    """The answer's text, and whether it is told to be the same again."""
    answer = await world.client.post("/api/v1/flows/mail/runs", json=body or {}, headers=KEY | headers)
    assert answer.status_code == status, answer.text
    return answer.text, answer.headers.get("idempotent-replayed") == "true"


async def runs(world: ApiWorld) -> int:
    return len((await world.get("/runs"))["runs"])


async def test_the_same_request_gives_the_same_answer_again_and_makes_no_second_run() -> None:
    async with api_world() as world:
        first, again = await trigger(world)
        assert not again
        assert await trigger(world) == (first, True)
        assert await runs(world) == 1


async def test_without_a_key_each_request_makes_a_run() -> None:
    async with api_world() as world:
        for _ in range(2):
            await world.post("/flows/mail/runs", {}, 201)
        assert await runs(world) == 2


async def test_a_key_that_comes_with_another_body_or_address_is_refused() -> None:
    async with api_world() as world:
        await trigger(world)
        text, _ = await trigger(world, {"dry_run": True}, 422)
        assert "a key belongs to one request" in text
        problem = await world.post("/flows/idle/runs", {}, 422, headers=KEY)
        assert problem["rule"] == "a key belongs to one request"
        assert await runs(world) == 1


async def test_a_key_is_of_one_token_alone() -> None:
    async with api_world() as world:
        await trigger(world)
        world.visit(Role.OPERATOR, token=2)
        _, again = await trigger(world)
        assert not again
        assert await runs(world) == 2


async def test_a_refused_request_is_forgotten_so_that_it_can_be_made_again() -> None:
    async with api_world() as world:
        assert (await world.post("/runs/1/cancel", status=404, headers=KEY))["status"] == 404
        await queued(world.scene, "mail")
        assert (await world.post("/runs/1/cancel", headers=KEY))["run"]["status"] == "CANCELLED"


async def test_while_the_first_request_is_being_answered_the_second_is_a_conflict() -> None:
    async with api_world() as world:
        begun, go = asyncio.Event(), asyncio.Event()
        asks = world.process.ask

        async def slow(work: Callable[[ControlPlane], Awaitable[T]]) -> T:
            if world.process.asked == 1:  # the change itself, after the key was noted
                begun.set()
                await go.wait()
            return await asks(work)

        world.process.ask = slow  # type: ignore[method-assign]
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(trigger(world))
            await begun.wait()
            world.process.ask = asks  # type: ignore[method-assign]
            text, _ = await trigger(world, status=409)
            assert "still being answered" in text
            go.set()
        assert await trigger(world) == (first.result()[0], True)


async def test_a_request_that_was_lost_with_its_process_holds_its_key_for_a_minute_only() -> None:
    async with api_world() as world:
        made = await trigger(world)
        kept = world.scene.store._rows.answers
        [(place, answer)] = kept.items()
        kept[place] = KeptAnswer(answer.key, answer.who, answer.asked, at=answer.at)  # never answered
        await trigger(world, status=409)
        await world.scene.clock.advance(seconds=61)
        after, again = await trigger(world)
        assert not again
        assert after == made[0]  # the run that the lost request had made is the one that is told
        assert await trigger(world) == (after, True)
        assert await runs(world) == 1


async def test_an_answer_is_kept_for_a_day() -> None:
    async with api_world() as world:
        run = await queued(world.scene, "mail")
        await world.post(f"/runs/{run.id}/cancel", headers=KEY)
        await world.scene.clock.advance(23 * 3600)
        answer = await world.client.post(f"/api/v1/runs/{run.id}/cancel", headers=KEY)
        assert answer.headers["idempotent-replayed"] == "true"
        await world.scene.clock.advance(2 * 3600)
        answer = await world.client.post(f"/api/v1/runs/{run.id}/cancel", headers=KEY)
        assert "idempotent-replayed" not in answer.headers


async def test_a_key_that_is_used_again_every_day_is_answered_for_good() -> None:
    async with api_world() as world:
        run = await queued(world.scene, "mail")
        for day in range(30):
            answer = await world.client.post(f"/api/v1/runs/{run.id}/cancel", headers=KEY)
            assert (answer.status_code, "idempotent-replayed" in answer.headers) == (200, False), day
            await world.scene.clock.advance(25 * 3600)
        assert len(world.scene.store._rows.answers) == 1


async def test_where_the_store_is_away_the_key_can_be_used_when_it_is_back() -> None:
    async with api_world() as world:
        world.process.fails = StoreUnavailable(what="do that", reason="it is away")
        answer = await world.client.post("/api/v1/flows/mail/runs", json={}, headers=KEY)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["detail"] == "the store did not answer when asked to do that: it is away"
        world.process.fails = None
        await trigger(world)
        assert await runs(world) == 1
