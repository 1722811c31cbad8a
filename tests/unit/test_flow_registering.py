"""The three forms of Flow.register, and what becomes of a name that is registered again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from piko_flow import Retry, Sink, Source
from piko_flow.control.flows.flow import Flow, default_registry
from piko_flow.control.flows.registry import Registry, collecting
from piko_flow.control.flows.run_context import RunContext
from piko_flow.dataflow.stages.stage import Pipeline
from piko_flow.errors import FlowError
from piko_flow.planning.cron import Cron
from piko_flow.planning.window import BackfillPolicy, Window
from piko_flow.testing import CollectingSink, items

DAY = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


class Limits(BaseModel):
    most: int = 3


@asynccontextmanager
async def client() -> AsyncIterator[str]:
    yield "a client"


def fixed() -> Pipeline:
    return Source([1, 2]) >> Sink(print)


def counting(run: RunContext[Limits]) -> Pipeline:
    """Count up to the limit.

    More than one line.
    """
    return Source(range(run.params.most)) >> Sink(print)


async def greeting(run: RunContext, client: str) -> str:
    return f"{run.flow} by {client}"


@pytest.fixture
def registry() -> Registry[Flow]:
    return Registry()


def test_a_pipeline_is_a_flow(registry: Registry[Flow]) -> None:
    pipeline = fixed()
    flow = Flow.register("fixed", pipeline, registry=registry)
    assert (flow.kind, flow.target, registry["fixed"]) == ("pipeline", pipeline, flow)
    assert flow.pipeline_for(RunContext.for_test()) is pipeline
    assert flow.description == ""


async def test_a_function_from_the_run_builds_the_pipeline_of_each_run(registry: Registry[Flow]) -> None:
    written: CollectingSink[int] = CollectingSink()

    @Flow.register("counted", params=Limits, registry=registry)
    def counted(run: RunContext[Limits]) -> Pipeline:
        return Source(range(run.params.most)) >> written

    assert counted.kind == "builder"
    await counted.pipeline_for(RunContext.for_test(Limits(most=2))).run()
    await counted.pipeline().run()
    assert written.items == [0, 1, 0, 1, 2]


async def test_an_async_function_is_a_job_and_can_be_called(registry: Registry[Flow]) -> None:
    flow = Flow.register("greeting", greeting, resources={"client": client}, registry=registry)
    assert flow.kind == "job"
    assert await flow(RunContext.for_test(flow="hello"), client="hand") == "hello by hand"
    with pytest.raises(FlowError, match="a job has no pipeline"):
        flow.pipeline()


def test_an_async_function_that_says_it_gives_a_pipeline_is_refused(registry: Registry[Flow]) -> None:
    async def builds(run: RunContext) -> Pipeline:
        return fixed()

    with pytest.raises(
        FlowError, match="does the work itself; builds returns Pipeline, which nobody would run"
    ):
        Flow.register("builds", builds, registry=registry)
    assert "builds" not in registry


def test_partials_and_callable_objects_are_looked_through(registry: Registry[Flow]) -> None:
    class Building:
        def __call__(self, run: RunContext) -> Pipeline:
            return fixed()

    async def told(text: str, run: RunContext) -> None:
        print(text)

    assert Flow.register("object", Building(), registry=registry).kind == "builder"
    assert Flow.register("partial", partial(told, "hi"), registry=registry).kind == "job"


def test_a_flow_says_what_it_is(registry: Registry[Flow]) -> None:
    flow = Flow.register("counting", counting, params=Limits, registry=registry)
    assert flow.description == "Count up to the limit."
    assert repr(flow).startswith("<Flow 'counting' (builder) at ")
    assert str(flow.site.origin).startswith("tests/unit/test_flow_registering.py:")
    assert "range" in flow._repr_mimebundle_()["text/plain"]


def test_options_are_kept_as_the_rules_want_them(registry: Registry[Flow]) -> None:
    flow = Flow.register(
        "every option",
        counting,
        params=Limits,
        schedule=Cron("0 * * * *"),
        stateful=True,
        backfill="catch_up",
        retry=3,
        timeout=timedelta(minutes=2),
        tags=["daily", "orders"],
        execute="leader",
        after="upstream",
        strict_order=True,
        begin=datetime(2026, 1, 1, tzinfo=UTC),
        schema_version=2,
        max_instances=2,
        misfire_grace=60,
        coalesce=False,
        concurrency_group="shop",
        max_lookback_window=5,
        max_errors=0.1,
        teardown=5,
        capacity=16,
        registry=registry,
    )
    assert (flow.retry, flow.timeout, flow.tags) == (Retry(attempts=3), 120.0, ("daily", "orders"))
    assert (flow.backfill, flow.after) == (BackfillPolicy.CATCH_UP, "upstream")
    assert flow.misfire_grace == timedelta(seconds=60)
    assert (flow.run_options.plan.max_errors, flow.run_options.plan.capacity.items) == (0.1, 16)
    assert flow.run_options.plan.teardown == 5


def test_without_options_a_flow_has_one_attempt_no_timeout_and_no_windows(registry: Registry[Flow]) -> None:
    flow = Flow.register("plain", fixed(), registry=registry)
    assert (flow.retry.attempts, flow.timeout, flow.stateful) == (1, None, False)
    assert (flow.schedule, flow.execute, flow.max_instances, flow.misfire_grace) == (None, None, None, None)


def test_a_flow_is_frozen(registry: Registry[Flow]) -> None:
    flow: Any = Flow.register("frozen", fixed(), registry=registry)
    with pytest.raises(AttributeError):
        flow.timeout = 3


def test_a_flow_may_be_registered_again_under_another_name(registry: Registry[Flow]) -> None:
    first = Flow.register("one", greeting, resources={"client": client}, registry=registry)
    second = Flow.register("two", first, resources={"client": client}, registry=registry)
    assert (second.target, second.kind) == (greeting, "job")


def test_the_same_function_registered_again_replaces(registry: Registry[Flow]) -> None:
    def register(timeout: float) -> Flow:
        return Flow.register("again", counting, params=Limits, timeout=timeout, registry=registry)

    register(1)
    second = register(2)
    assert registry["again"] is second


CELL = "from piko_flow import Source, Sink\nFlow.register('cell', Source([{0}]) >> Sink(print), registry=registry)\n"


def test_a_cell_that_is_run_again_replaces_its_pipeline(registry: Registry[Flow]) -> None:
    names = {"Flow": Flow, "registry": registry, "__name__": "__main__"}
    exec(CELL.format(1), names)
    exec("\n" + CELL.format(2), names)
    assert registry["cell"].site.origin.line == 3


def test_two_pipelines_of_one_module_may_not_share_a_name(registry: Registry[Flow]) -> None:
    first = Flow.register("twice", fixed(), registry=registry)
    with pytest.raises(FlowError) as caught:
        Flow.register("twice", fixed(), registry=registry)
    assert f"'twice' is registered at {first.site.origin}" in str(caught.value)
    assert registry["twice"] is first


def test_two_functions_may_not_share_a_name(registry: Registry[Flow]) -> None:
    @Flow.register("shared", registry=registry)
    async def one(run: RunContext) -> None: ...

    with pytest.raises(FlowError, match="a name belongs to one flow") as caught:

        @Flow.register("shared", registry=registry)
        async def two(run: RunContext) -> None: ...

    assert caught.value.where.startswith("tests/unit/test_flow_registering.py:")
    assert registry["shared"] is one


def test_names_that_differ_only_by_case_count_as_one(registry: Registry[Flow]) -> None:
    Flow.register("Orders", fixed(), registry=registry)
    with pytest.raises(FlowError, match="'Orders' is registered at"):
        Flow.register("orders", fixed(), registry=registry)


def test_flows_go_where_they_are_collected_and_else_into_the_default_registry() -> None:
    own: Registry[Flow] = Registry()
    with collecting(own):
        Flow.register("collected in a block", fixed())
    assert "collected in a block" in own
    assert "collected in a block" not in default_registry
    Flow.register("registered by default", fixed())
    assert "registered by default" in default_registry
    default_registry.remove("registered by default")
    assert "registered by default" not in default_registry


BAD_BUILDERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "nothing": (lambda run: None, "it gave None"),
    "open chain": (lambda run: Source([1]), "it gave .*Source"),
    "coroutine": (lambda run: greeting(run, ""), "it gave coroutine"),
}


@pytest.mark.parametrize(("build", "told"), BAD_BUILDERS.values(), ids=BAD_BUILDERS)
def test_a_plain_function_that_gives_no_pipeline_fails_with_that_reason(
    build: Callable[[Any], Any], told: str, registry: Registry[Flow]
) -> None:
    flow = Flow.register("bad", build, registry=registry)
    with pytest.raises(FlowError, match=f"a plain function gives a closed pipeline; {told}"):
        flow.pipeline_for(RunContext.for_test())


async def test_a_bare_run_works_without_an_application() -> None:
    run = RunContext.for_test(Limits(most=9), window=DAY, flow="orders", attempt=2)
    assert (run.id, run.flow, run.attempt, run.params.most) == (1, "orders", 2, 9)
    assert (run.window, run.scheduled_time) == (DAY, DAY.end)
    assert await run.cpu.submit(max, 3, 4) == 4
    assert await run.cpu.map(abs, [-1, 2]) == [1, 2]
    await run.emit({"a": 1}, to="store", key="k")
    await run.check_claim()
    assert [(one.payload, one.to, one.key, one.flow) for one in run.emitted] == [
        ({"a": 1}, "store", "k", "orders")
    ]
    assert RunContext.for_test().params == {}


def test_records_of_a_runs_logger_say_whose_they_are(caplog: pytest.LogCaptureFixture) -> None:
    run = RunContext.for_test(flow="orders", run_id=7)
    with caplog.at_level("INFO"):
        run.logger.info("read %d", 3, extra={"shop": "north"})
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("piko_flow.flow.orders", "read 3")
    facts = vars(record)
    assert (facts["run"], facts["flow"], facts["attempt"], facts["shop"]) == (7, "orders", 1, "north")


def test_a_pipeline_of_items_needs_no_function(registry: Registry[Flow]) -> None:
    flow = Flow.register("items", items(3) >> CollectingSink(), registry=registry)
    assert flow.pipeline().text()
