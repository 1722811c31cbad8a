"""Where each flow stands, and what is found to be wrong before anything runs."""

import pytest
from pydantic import BaseModel

from piko_flow import Pipeline, Sink, Source
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.operations.checking import check_flows, check_lacking, check_rows
from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.records import ConfigRecord
from tests.unit.planes import NOW, Settings, begun, ended, hour, planned_fires, queued, row, running, scene


async def test_every_flow_of_the_code_and_of_the_rows_is_listed_with_where_it_stands() -> None:
    it = scene()
    await begun(it, "orders", since=8, planned=12)
    await it.store.set_schedule(row("report", enabled=False))
    await it.store.set_schedule(row("mail", timezone="Nowhere"))
    await it.store.set_schedule(row("gone"))
    await begun(it, "audit", since=8, planned=12)
    await it.plane.pause("audit", by="ada")
    page = await it.plane.flows()
    assert {view.name: view.standing for view in page.flows} == {
        "orders": "active",
        "report": "disabled",
        "mail": "refused",
        "gone": "unregistered",
        "audit": "paused",
        "idle": "unscheduled",
    }
    assert page.after is None


async def test_flows_come_by_pages_in_the_order_of_their_names() -> None:
    it = scene()
    first = await it.plane.flows(limit=3)
    assert [view.name for view in first.flows] == ["audit", "idle", "mail"]
    rest = await it.plane.flows(after=first.after or "", limit=3)
    assert [view.name for view in rest.flows] == ["orders", "report"]
    assert rest.after is None
    with pytest.raises(RequestRefused, match="1 to 1000"):
        await it.plane.flows(limit=0)


async def test_a_flow_shows_its_windows_its_live_runs_and_the_last_one() -> None:
    it = scene()
    await begun(it, "orders", since=8, planned=12)
    await ended(it, "orders", hour(8))
    await ended(it, "orders", hour(9), RunStatus.FAILED)
    await running(it, "orders", hour(10))
    last = await queued(it, "orders", hour(3))
    view = await it.plane.flow("orders", fires=2)
    assert view.watermark == hour(9).start
    assert view.gaps == (hour(9), hour(11))
    assert view.failed == (hour(9),)
    assert (view.queued, view.running) == (1, 1)
    assert view.last is not None
    assert view.last.id == last.id
    assert view.schedule is not None
    assert view.schedule.next_fires == (hour(13).start, hour(14).start)
    with pytest.raises(RequestRefused, match="did you mean"):
        await it.plane.flow("order")


async def test_a_stateless_flow_has_no_windows() -> None:
    it = scene()
    await planned_fires(it, "mail", hour(12).start)
    view = await it.plane.flow("mail")
    assert (view.watermark, view.gaps, view.failed, view.last) == (None, (), (), None)


def test_a_pipeline_that_cannot_be_built_is_found_and_one_that_needs_its_row_is_only_noted() -> None:
    registry: Registry[Flow] = Registry()

    class Needs(Settings):
        path: str

    @Flow.register("good", params=Settings, stateful=True, registry=registry)
    def good(run: RunContext[Settings]) -> Pipeline:
        return Source([run.window.start]) >> Sink(print)

    @Flow.register("broken", registry=registry)
    def broken(run: RunContext) -> Pipeline:
        raise KeyError("no such table")

    @Flow.register("needs", params=Needs, registry=registry)
    def needs(run: RunContext[Needs]) -> Pipeline:
        return Source([run.params.path]) >> Sink(print)

    found = {one.where: one for one in check_flows(registry.values(), NOW)}
    assert found.keys() == {"flow broken", "flow needs"}
    assert "no such table" in found["flow broken"].told
    assert found["flow broken"].wrong
    assert not found["flow needs"].wrong


def test_rows_that_are_refused_are_found_and_those_of_strangers_are_only_noted() -> None:
    it = scene()
    schedules = [row("orders"), row("mail", max_instances=0), row("gone")]
    configs = [
        ConfigRecord("orders", '{"limit": "x"}'),
        ConfigRecord("gone", "{}"),
        ConfigRecord("piko_system_settings", "{}"),
    ]
    found = list(check_rows(schedules, configs, it.registry, "UTC"))
    assert [(one.where, one.wrong) for one in found] == [
        ("scheduled_job mail", True),
        ("scheduled_job gone", False),
        ("job_config orders", True),
        ("job_config gone", False),
    ]


def test_cells_that_nobody_can_read_and_a_pause_that_is_none_are_found() -> None:
    it = scene()
    bad = (("max_instances", "max_instances: it is a whole number; got 'abc'"),)
    configs = [
        ConfigRecord("orders", "{}", unreadable=(("effective_from", "effective_from: it is an instant"),)),
        ConfigRecord("piko_system_settings", '{"paused": "maybe"}'),
    ]
    found = list(check_rows([row("mail", unreadable=bad)], configs, it.registry, "UTC"))
    assert all(one.wrong for one in found)
    assert [(one.where, one.told) for one in found] == [
        ("scheduled_job mail", "max_instances: it is a whole number; got 'abc'"),
        ("job_config orders", "effective_from: it is an instant"),
        (
            "job_config piko_system_settings",
            "paused must be true or false, got 'maybe'; until then all schedules are paused",
        ),
    ]


def test_names_that_the_model_does_not_have_are_noted_with_the_nearest_and_their_row_is_used() -> None:
    it = scene()
    [found] = check_rows([], [ConfigRecord("orders", '{"limt": 5, "limit": 7}')], it.registry, "UTC")
    assert (found.where, found.wrong) == ("job_config orders", False)
    assert "ignores: 'limt' (did you mean 'limit'?)" in found.told
    assert list(check_rows([], [ConfigRecord("orders", '{"limit": 7}')], it.registry, "UTC")) == []


def test_a_flow_whose_fields_nobody_has_set_is_noted_until_it_has_a_row() -> None:
    class Needy(BaseModel):
        target: str

    async def work(run: RunContext[Needy]) -> None: ...

    it = scene()
    Flow.register("needy", work, params=Needy, registry=it.registry)
    [found] = check_lacking(it.registry.values(), [])
    assert (found.where, found.wrong) == ("job_config needy", False)
    assert "target" in found.told
    assert list(check_lacking(it.registry.values(), [ConfigRecord("needy", "{}")])) == []
