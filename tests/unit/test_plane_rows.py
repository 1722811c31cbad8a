"""Schedule rows: checked before they are written, previewed over changes of clocks, paused one by one and all."""

from datetime import UTC, datetime, timedelta

import pytest

from piko_flow.control.operations.plane_rows import ScheduleView
from piko_flow.errors import RequestRefused, ScheduleError
from piko_flow.planning.run_state import Reason
from piko_flow.store.records import ConfigRecord
from tests.unit.planes import NOW, begun, hour, row, scene


async def test_a_row_is_written_and_what_is_not_given_stays_as_it_is() -> None:
    it = scene()
    first = await it.plane.set_schedule("mail", "cron", {"cron": "30 2 * * *"}, timezone="Europe/Berlin")
    assert str(first.trigger) == "30 2 * * * (Europe/Berlin)"
    assert first.next_fires[0] == datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
    second = await it.plane.set_schedule("mail", max_instances=3, jitter=timedelta(seconds=5))
    assert (second.row.schedule_expr, second.row.timezone) == ('{"cron":"30 2 * * *"}', "Europe/Berlin")
    assert (second.row.max_instances, second.row.version) == (3, 2)
    assert [view.row for view in await it.plane.schedules()] == [second.row]


async def test_a_first_row_has_what_the_code_says() -> None:
    it = scene(first_instances=7)
    made = await it.plane.set_schedule("mail", enabled=False)
    assert (made.row.schedule_type, made.row.enabled, made.active, made.next_fires) == (
        "interval",
        False,
        False,
        (),
    )
    assert made.row.max_instances == 7
    assert (await it.plane.set_schedule("orders", "cron", '{"cron": "@daily"}')).row.is_stateful


@pytest.mark.parametrize(
    ("flow", "given", "columns", "told"),
    [
        ("mial", ("cron", '{"cron": "@daily"}'), {}, "did you mean 'mail'"),
        ("mail", ("cron", '{"cron": "61 * * * *"}'), {}, "61"),
        ("mail", ("crone", "{}"), {}, "cron, interval, date"),
        ("mail", ("cron", "not json"), {}, "JSON object"),
        ("idle", ("date", '{"run_date": "2026-03-01 10:00:00"}'), {}, "is past"),
        ("mail", (), {"timezone": "Europe/Berln"}, "Europe/Berlin"),
        ("mail", (), {"max_instances": 0}, "at least 1"),
        ("mail", (), {"max_lookback_window": -1}, "at least 0"),
        ("mail", (), {}, "nothing was given"),
        ("mail", (), {"concurrency_group": "g" * 65}, "64 characters"),
        ("idle", (), {"enabled": True}, "no row yet"),
    ],
)
async def test_a_row_that_would_be_refused_is_not_written(
    flow: str, given: tuple[str, str], columns: dict[str, object], told: str
) -> None:
    it = scene()
    with pytest.raises(RequestRefused, match=told):
        await it.plane.set_schedule(flow, *given, **columns)  # type: ignore[arg-type]
    assert await it.store.schedules() == []


async def test_a_row_that_somebody_wrote_wrongly_is_listed_with_its_reason() -> None:
    it = scene()
    await it.store.set_schedule(row("mail", timezone="Nowhere"))
    await it.store.set_schedule(row("gone"))
    views = {view.row.flow: view for view in await it.plane.schedules()}
    assert "Nowhere" in views["mail"].refused
    assert views["mail"].zone == "UTC"
    assert "no flow named 'gone'" in views["gone"].refused


async def test_rows_are_told_page_by_page_and_by_themselves() -> None:
    it = scene()
    for flow in ("mail", "orders", "zoo", "audit", "report"):
        await it.store.set_schedule(row(flow))
    every = await it.plane.schedules()
    seen: list[ScheduleView] = []
    after = ""
    for _ in range(3):
        page = await it.plane.schedule_page(after=after, limit=2)
        seen += page.schedules
        after = page.after or "the end"
    assert [view.row.flow for view in seen] == ["audit", "mail", "orders", "report", "zoo"]
    assert seen == every
    assert after == "the end"
    assert (await it.plane.schedule_page(limit=5)).after is None
    assert await it.plane.schedule_view("orders", fires=1) == every[2]
    for limit in (0, 1001):
        with pytest.raises(RequestRefused, match="1 to 1000"):
            await it.plane.schedule_page(limit=limit)
    with pytest.raises(RequestRefused, match="there is none"):
        await it.plane.schedule_view("idle")


async def test_a_row_is_deleted_once() -> None:
    it = scene()
    await it.plane.set_schedule("mail", enabled=True)
    await it.plane.delete_schedule("mail")
    with pytest.raises(RequestRefused, match="there is none"):
        await it.plane.delete_schedule("mail")


async def test_a_preview_marks_shifted_and_doubled_fires() -> None:
    it = scene()
    await it.store.set_schedule(row("orders", timezone="Europe/Berlin"))
    spring = await it.plane.preview(
        "orders",
        n=2,
        after=datetime(2026, 3, 28, 12, tzinfo=UTC),
        kind="cron",
        expression={"cron": "30 2 * * *"},
    )
    assert [(one.fire.day, one.fire.hour, one.note) for one in spring.fires] == [
        (29, 1, "shifted"),
        (30, 0, ""),
    ]
    autumn = await it.plane.preview("orders", n=3, after=datetime(2026, 10, 25, 0, tzinfo=UTC))
    assert [one.note for one in autumn.fires] == ["doubled", "", ""]
    assert autumn.zone == "Europe/Berlin"


async def test_a_preview_shows_the_row_else_the_code_and_writes_nothing() -> None:
    it = scene()
    coming = await it.plane.preview("mail", n=1)
    assert coming.fires[0].fire == NOW + timedelta(minutes=10)
    await it.store.set_schedule(row("mail"))
    assert (await it.plane.preview("mail", n=1)).fires[0].fire == hour(13).start
    assert len(await it.store.schedules()) == 1
    with pytest.raises(RequestRefused, match="brings none"):
        await it.plane.preview("idle")
    with pytest.raises(ScheduleError):
        await it.plane.preview("mail", kind="cron", expression='{"cron": "x"}')


async def test_a_schedule_is_paused_and_resumed_once() -> None:
    it = scene()
    await begun(it, "orders", since=10, planned=12)
    assert await it.plane.pause("orders", by="ada")
    assert not await it.plane.pause("orders", by="bob")
    (view,) = await it.plane.schedules()
    assert (view.paused, view.next_fires) == ("paused by ada", ())
    assert await it.plane.resume("orders")
    assert not await it.plane.resume("orders")
    with pytest.raises(RequestRefused, match="did you mean"):
        await it.plane.pause("orderz")


async def test_a_flow_without_a_schedule_is_not_paused_and_nothing_is_written() -> None:
    it = scene()
    with pytest.raises(RequestRefused, match="it has no row, and its code brings none"):
        await it.plane.pause("idle")
    assert await it.store.flows() == []


@pytest.mark.parametrize("wrong", ['{"paused": "maybe"}', '{"paused": 1}', '{"paused": 0}', "[]", "{"])
@pytest.mark.parametrize("paused", [True, False])
async def test_a_pause_that_nobody_can_read_is_one_and_is_written_over(wrong: str, paused: bool) -> None:
    it = scene()
    it.store.edit(ConfigRecord("piko_system_settings", wrong))
    await begun(it, "orders", since=10, planned=12)
    why = await it.plane.paused_all()
    assert why.startswith("all schedules are paused, because ")
    assert (await it.plane.schedules())[0].paused == why
    told = (await it.plane.explain_flow("orders")).lines[0]
    assert (told.reason, told.text, told.advice) == (Reason.PAUSED, why, "piko-flow schedule resume --all")
    assert (await it.plane.flow("orders")).health == "paused"
    assert await it.plane.pause_all(paused=paused)
    assert await it.plane.paused_all() == ("all schedules are paused" if paused else "")
    (config,) = await it.store.configs()
    assert config.text == f'{{"paused":{str(paused).lower()}}}'


async def test_everything_is_paused_by_the_system_row_whose_other_keys_stay() -> None:
    it = scene()
    await it.store.set_config(
        "piko_system_settings", '{"poll_interval_s": 3}', schema_version=1, effective_from=None
    )
    await begun(it, "orders", since=10, planned=12)
    assert await it.plane.pause_all()
    assert not await it.plane.pause_all()
    assert (await it.plane.schedules())[0].paused == "all schedules are paused"
    assert await it.plane.pause_all(paused=False)
    assert not await it.plane.paused_all()
    (config,) = await it.store.configs()
    assert '"poll_interval_s":3' in config.text
