"""What an application says of how its flows, spools and replicas stand, on pages and in the API."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from piko_flow import App, Flow, Interval, Registry, RunContext, Sink, Source, Transform
from piko_flow.control.operations.plane_overview import flows_now
from piko_flow.store.ops_records import Role
from tests.system.doors import served
from tests.system.measured_flows import spooling
from tests.system.running_app import eventually


async def odd(number: int) -> int:
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number


async def put(number: int) -> None: ...


async def chat(run: RunContext) -> None:
    await run.emit(["hello"], to="away")


def flows() -> Registry[Flow]:
    found: Registry[Flow] = Registry()
    numbers = Source(range(4)) >> Transform(odd, on_error="dead_letter") >> Sink(put)
    # So that only what is triggered runs.
    later = Interval(hours=1, start_date="2099-01-01")
    Flow.register("numbers", numbers, registry=found, schedule=later)
    Flow.register("chat", chat, registry=found)
    return found


def shown(page: str) -> str:
    """What a page says, without its elements."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


async def test_pages_and_the_api_say_the_same_of_a_flow_with_open_dead_letters(tmp_path: Path) -> None:
    async with served(tmp_path, registry=flows()) as place, place.browser(Role.OPERATOR) as browser:
        await place.world.trigger("numbers")
        answer = await browser.get("/api/v1/flows/numbers", headers={"accept": "application/json"})
        flow = answer.json()["flow"]
        why = "2 items failed for good and can be looked at and replayed"
        assert (flow["health"], flow["health_why"], flow["letters"]) == ("dead letters", why, 2)
        assert flow["concerns"] == [{"word": "dead letters", "why": why}]
        for path in ("/", "/flows/numbers"):
            text = shown((await browser.get(path)).text)
            assert f"dead letters {why}" in text.replace("numbers 2 items", "2 items"), (path, text)
            assert "healthy" not in text


async def test_a_spool_whose_sink_fails_is_told(tmp_path: Path) -> None:
    async with spooling(flows(), tmp_path) as world:
        await world.trigger("chat")

        async def failing() -> bool:
            app: App = world.app
            return "OSError" in (await app.ask(flows_now)).failing_spools.get("away", "")

        assert await eventually(failing)


async def test_the_page_of_replicas_tells_how_long_a_leader_lives_and_what_it_runs(tmp_path: Path) -> None:
    quick: dict[str, Any] = {"replica_lease_s": 1, "leader_lease_s": 30, "leader_renew_interval_s": 10}
    async with served(tmp_path, registry=flows(), **quick) as place, place.browser() as browser:

        async def leads() -> bool:
            leader = await place.world.app.ask(lambda plane: plane.leader())
            over = [one.until is not None and one.until < leader.now for one in leader.replicas]
            return leader.leads and bool(over) and all(over)

        await eventually(leads)  # and its last beat is over
        text = shown((await browser.get("/replicas")).text)
        assert re.search(r"leads; its lease runs out in \d+ s unless it is renewed", text), text
        assert "ago unless" not in text
        assert "alive" in text


async def test_a_change_in_the_audit_says_what_was_and_is_without_colours(tmp_path: Path) -> None:
    async with served(tmp_path, registry=flows()) as place, place.browser() as browser:

        async def row() -> bool:
            return bool(await place.world.app.ask(lambda plane: plane.store.schedules()))

        await eventually(row)
        await place.world.app.ask(lambda plane: plane.pause("numbers"))
        text = shown((await browser.get("/audit?subject=flow+numbers")).text)
        assert "paused was false , is true" in text, text
