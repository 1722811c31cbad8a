"""Whoever opens an address that only takes forms is led to a page; a backfill has an address of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from piko_flow.control.operations.plane_backfills import BackfillRequest
from piko_flow.ops.console.backfill_pages import KINDS
from piko_flow.ops.console.formats import window
from piko_flow.ops.console.pages import console_router
from piko_flow.planning.window import Window
from tests.system.test_door_routes import routes
from tests.unit.api_worlds import PlaneProcess
from tests.unit.planes import begun, hour, scene
from tests.unit.test_console_answers import Answering, client

PLACES = {"name": "orders", "number": "1", "verb": "cancel"}


def form_addresses() -> list[str]:
    """Every address of the console that takes forms, with something in each of its places."""
    process: Any = Answering()
    known = [(path, route.methods) for route, path in routes(console_router(process).routes)]
    verbs = {"/dead-letters/group/{verb}": "drop", "/dead-letters/{number}/{verb}": "replay"}
    return sorted(
        path.format(**{**PLACES, "verb": verbs.get(path, "cancel")})
        for path, methods in known
        if methods == {"POST"}
    )


@pytest.mark.parametrize("address", form_addresses())
async def test_a_form_that_was_refused_can_be_loaded_again(address: str) -> None:
    async with client() as browser:
        answer = await browser.get(address)
        if address == "/flows/orders/backfill":  # which is a page itself
            assert answer.status_code == 200
            return
        assert answer.status_code == 303
        there = answer.headers["location"]
        assert address.startswith(there) or there in ("/", "/dead-letters")
        assert (await browser.get(there)).status_code in ((404,) if there[-1] == "1" else (200,))


async def test_a_backfill_has_a_page_that_goes_on_by_itself() -> None:
    it = scene()
    await begun(it, "orders", since=0, planned=3)
    plane, process = it.plane, PlaneProcess(it.plane)
    wanted = BackfillRequest(flow="orders", span=Window(hour(0).start, hour(2).end), kind="all")
    made = await plane.apply_backfill(wanted, digest=(await plane.plan_backfill(wanted)).digest)
    async with client(process=process) as browser:
        page = await browser.get(f"/backfills/{made.id}")
        assert page.status_code == 200
        assert f"<h1>Backfill {made.id}</h1>" in page.text
        assert f'hx-get="/parts/backfills/{made.id}"' in page.text
        assert (
            f'hx-get="/parts/backfills/{made.id}"' in (await browser.get(f"/parts/backfills/{made.id}")).text
        )
        for none in ("99", "first"):
            assert (await browser.get(f"/backfills/{none}")).status_code == 404


async def test_a_preview_tells_once_which_windows_the_range_cuts() -> None:
    it = scene()
    await begun(it, "orders", since=0, planned=8)
    sent = {"start": "2026-03-02 02:20", "end": "2026-03-02 04:05", "what": "all", "concurrency": "1"}
    async with client(process=PlaneProcess(it.plane)) as browser:
        told = await browser.post("/flows/orders/backfill/plan", data=sent, headers={"HX-Request": "true"})
    cut = [hour(2), hour(4)]
    assert told.text.count("The range cuts a window") == len(cut)
    assert [told.text.count(f"of {window(one)} only") for one in cut] == [1, 1]
    assert "part of the window" not in told.text


async def test_the_form_of_a_backfill_offers_every_kind() -> None:
    it = scene()
    await begun(it, "orders", since=0, planned=3)
    async with client(process=PlaneProcess(it.plane)) as browser:
        for page in ("/flows/orders", "/flows/orders/backfill"):
            found = re.search(r'<select id="bf-what".*?</select>', (await browser.get(page)).text, re.DOTALL)
            assert found is not None
            assert re.findall(r'option value="(\w+)"', found[0]) == list(KINDS)
