"""What pages tell of a schedule's row that was mended, until a leader has looked at it."""

from __future__ import annotations

import json

import pytest

from piko_flow.ops.console.schedule_pages import looked_at_within
from tests.unit.api_worlds import PlaneProcess
from tests.unit.planes import row, scene
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
