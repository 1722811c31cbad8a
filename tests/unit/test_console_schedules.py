"""What pages tell of a schedule's row that was mended, until a leader has looked at it."""

from __future__ import annotations

import json
import re

import pytest

from piko_flow.ops.console.schedule_pages import looked_at_within, when_looked_at
from tests.unit.api_worlds import PlaneProcess
from tests.unit.planes import lead, row, scene
from tests.unit.test_console_answers import client

LAST = "So the leader said when it looked last."


@pytest.mark.parametrize(("said", "seconds"), [(None, 12), (30, 32), (0.2, 3), ("soon", 12)])
async def test_how_soon_a_leader_looks_is_told_by_the_settings_and_the_systems_row(
    said: object, seconds: int
) -> None:
    it = scene()
    if said is not None:
        text = json.dumps({"poll_interval_s": said})
        await it.store.set_config("piko_system_settings", text, schema_version=1, effective_from=None)
    assert (await looked_at_within(it.plane)).total_seconds() == seconds


async def test_where_nobody_leads_no_leader_is_said_to_look() -> None:
    it = scene()
    assert await when_looked_at(it.plane) == "nobody leads now, and whoever leads next looks at it at once"
    await lead(it)
    assert await when_looked_at(it.plane) == "the leader looks at it within 12 s"
    alone = scene(elected=False)
    assert await when_looked_at(alone.plane) == "the leader looks at it within 12 s"


async def test_a_saved_schedule_is_told_with_when_it_is_looked_at() -> None:
    it = scene()
    async with client(process=PlaneProcess(it.plane)) as browser:
        for leads in (False, True):
            if leads:
                await lead(it)
            page = (await browser.get("/flows/mail")).text
            form = page[page.index('action="/flows/mail/schedule"') :].partition("</form>")[0]
            sent = dict(re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', form))
            sent |= {"kind": "cron", "expression": "0 2 * * *" if leads else "0 3 * * *"}
            answer = await browser.post("/flows/mail/schedule", data=sent, follow_redirects=True)
            assert ("nobody leads now" in answer.text, "the leader looks at it" in answer.text) == (
                not leads,
                leads,
            )


async def test_a_row_that_was_mended_is_told_to_be_looked_at_again_until_it_was() -> None:
    it = scene()
    await it.store.set_schedule(row("mail"))
    await it.store.note_refusals({"mail": "timezone is an IANA name, got 'Berlin'"})
    async with client(process=PlaneProcess(it.plane)) as browser:
        page = (await browser.get("/flows/mail")).text
        assert LAST in page
        assert "data-always" in page  # it goes on by itself, though no run begins or ends
        assert "Its row is refused" not in page
        await it.store.note_refusals({"mail": ""})
        page = (await browser.get("/flows/mail")).text
        assert LAST not in page
        assert "data-always" not in page
