"""Dead letters over the API: grouped, shown as text, replayed, dropped."""

from typing import Any

from piko_flow.control.flows.json_values import json_values
from piko_flow.planning.run_state import RunStatus
from tests.unit.api_worlds import api_world
from tests.unit.dead_letter_worlds import World, over

HTML = "<script>alert('x')</script>"


def refuse(item: Any) -> Any:
    raise ValueError(f"{item} is refused")


def keep(item: Any) -> Any:
    return item


async def with_letters() -> World:
    """A world with two letters of one group, which today's code takes."""
    world, out = World(), list[Any]()
    flow = world.register(over([HTML, "two"], refuse, out))
    await world.run(flow)
    world.register(over([HTML, "two"], keep, out))
    return world


async def test_letters_are_grouped_listed_and_shown_with_their_items() -> None:
    world = await with_letters()
    async with api_world(world.plane) as api:
        [group] = (await api.get("/dead-letters/groups"))["groups"]
        assert (group["flow"], group["count"], group["example"]["stage"]) == ("orders", 2, "check")
        found = await api.get("/dead-letters", params={"group": group["fingerprint"][:8], "limit": 1})
        assert ([one["id"] for one in found["letters"]], found["before"]) == ([2], 2)
        rest = await api.get("/dead-letters", params={"before": 2})
        assert [one["error_msg"] for one in rest["letters"]] == [f"ValueError: {HTML} is refused"]
        assert "payload" not in rest["letters"][0]
        shown = (await api.get("/dead-letters/1"))["letter"]
        assert shown == json_values(await world.plane.dead_letter(1))
        assert (shown["item"], shown["why_not"]) == (HTML, "")


async def test_letters_are_replayed_once_for_a_key() -> None:
    world = await with_letters()
    async with api_world(world.plane) as api:
        body, key = {"ids": [1, 2, 1], "expected": {"state": "open"}}, {"Idempotency-Key": "k"}
        made = await api.post("/dead-letters/replay", body, 201, headers=key)
        [replay] = made["replay"]["replays"]
        assert (replay["letters"], made["replay"]["untaken"], made["replay"]["more"]) == ([1, 2], [], False)
        assert (replay["run"]["origin"], replay["run"]["status"]) == ("replay", RunStatus.QUEUED)
        assert await api.post("/dead-letters/replay", body, 201, headers=key) == made
        problem = await api.post("/dead-letters/replay", {"ids": [1]}, 422)
        assert problem["rule"] == "one run at a time replays a letter"


async def test_letters_are_dropped_and_who_saw_them_open_gets_a_conflict() -> None:
    world = await with_letters()
    async with api_world(world.plane) as api:
        assert await api.post("/dead-letters/drop", {"ids": [1]}) == {"dropped": [1]}
        seen = {"ids": [1], "expected": {"state": "open"}}
        assert (await api.post("/dead-letters/drop", seen, 409))["type"] == "urn:piko-flow:conflict"
        assert await api.post("/dead-letters/drop", {"flow": "orders"}) == {"dropped": [2]}
        assert (await api.get("/dead-letters"))["letters"] == []
        assert len((await api.get("/dead-letters", params={"state": "dropped"}))["letters"]) == 2


async def test_letters_have_to_be_named_in_one_way() -> None:
    world = await with_letters()
    async with api_world(world.plane) as api:
        bodies: list[dict[str, Any]] = [{}, {"ids": []}, {"ids": [1], "flow": "orders"}]
        for body in bodies:
            problem = await api.post("/dead-letters/drop", body, 422)
            assert problem["rule"] == "they are named by number, or by flow and group"
