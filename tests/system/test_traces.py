"""One trace from the trigger to the sink, as a collector gets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from piko_flow import CpuMap, Flow, Registry, Sink, Source, Transform
from piko_flow.control.flows.run_context import RunContext
from piko_flow.dataflow.workers.trace_parent import trace_parent
from piko_flow.engines.subprocess import SubprocessEngine
from piko_flow.errors import RequestRefused
from piko_flow.store.batch import Batch
from piko_flow.store.ops_records import Role
from piko_flow.store.records import NewRun
from piko_flow.telemetry import names, switches
from tests.services.collector import Collected, attributes, collector
from tests.system.doors import served
from tests.system.running_app import Running, running
from tests.system.traced_flows import doubled, halved, put, waited

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collected]:
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        yield found


async def trigger_traced(running: Running, flow: str) -> None:
    """Queue a run with the parent that an HTTP trigger brought, and wait for its end."""

    async def queue(plane: Any) -> None:
        run = NewRun(flow, await plane.now(), "traced", origin="trigger", trace=PARENT)
        await plane.store.write(Batch("", queue=[run]))

    await running.app.ask(queue)
    await running.at_least(1, flow, "SUCCESS")


def one(spans: list[Any]) -> Any:
    [found] = spans
    return found


async def test_a_run_and_its_stages_and_the_spans_of_user_code_are_one_trace(
    collected: Collected, tmp_path: Path
) -> None:
    registry: Registry[Flow] = Registry()
    pipeline = (
        Source(range(3))
        >> Transform(doubled)
        >> Transform(waited, concurrency=2)
        >> CpuMap(halved, workers=1)
        >> Sink(put)
    )
    Flow.register("traced", pipeline, registry=registry)
    async with running(registry, tmp_path) as app:
        await trigger_traced(app, "traced")
    run = one(collected.named(names.RUN_SPAN))
    assert (run.trace_id, run.parent_span_id.hex()) == (TRACE, "b7ad6b7169203331")
    assert attributes(run)[names.FLOW_NAME] == "traced"
    assert attributes(run)[names.OUTCOME] == "SUCCESS"
    stages = {attributes(span)[names.STAGE_NAME]: span for span in collected.named(names.STAGE_SPAN)}
    assert set(stages) == {"range", "doubled", "waited", "halved", "put"}
    assert {span.parent_span_id for span in stages.values()} == {run.span_id}
    for name, stage in (("double", "range"), ("wait", "waited"), ("halve", "halved")):
        spans = collected.named(name)
        assert len(spans) == 3
        assert {(span.trace_id, span.parent_span_id) for span in spans} == {(TRACE, stages[stage].span_id)}
    assert "test" in collected.services


@pytest.mark.parametrize(
    ("header", "kept"),
    [(PARENT, PARENT), ("00-nothing-01", ""), (PARENT.upper(), ""), ("ff" + PARENT[2:], "")],
)
async def test_the_trace_of_a_request_becomes_that_of_the_run_which_it_triggers(
    tmp_path: Path, header: str, kept: str
) -> None:
    registry: Registry[Flow] = Registry()

    async def does(run: RunContext) -> None:
        """Nothing."""

    Flow.register("does", does, registry=registry)
    async with served(tmp_path, registry=registry) as app, app.client() as client:
        headers = {**await app.token(Role.OPERATOR), "traceparent": header}
        answer = await client.post("/api/v1/flows/does/runs", headers=headers, json={})
        assert answer.status_code == 201, answer.text
        [run] = await app.world.at_least(1, "does", "SUCCESS")
    assert run.trace == kept


async def test_a_request_with_a_trace_finds_itself_in_the_sink_and_in_the_worker(
    collected: Collected, tmp_path: Path
) -> None:
    registry: Registry[Flow] = Registry()
    pipeline = Source(range(3)) >> CpuMap(halved, workers=1) >> Sink(put)
    Flow.register("traced", pipeline, registry=registry)
    async with served(tmp_path, registry=registry) as app, app.client() as client:
        headers = {**await app.token(Role.OPERATOR), "traceparent": PARENT}
        answer = await client.post("/api/v1/flows/traced/runs", headers=headers, json={})
        assert answer.status_code == 201, answer.text
        await app.world.at_least(1, "traced", "SUCCESS")
    run = one(collected.named(names.RUN_SPAN))
    stages = {attributes(span)[names.STAGE_NAME]: span for span in collected.named(names.STAGE_SPAN)}
    assert (run.trace_id, run.parent_span_id.hex()) == (TRACE, "b7ad6b7169203331")
    assert (stages["put"].trace_id, stages["put"].parent_span_id) == (TRACE, run.span_id)
    in_worker = collected.named("halve")
    assert len(in_worker) == 3
    assert {(span.trace_id, span.parent_span_id) for span in in_worker} == {(TRACE, stages["halved"].span_id)}


async def test_a_unit_in_an_interpreter_of_its_own_joins_the_trace_of_its_run(
    collected: Collected, tmp_path: Path
) -> None:
    registry: Registry[Flow] = Registry()
    pipeline = Source(range(3)) >> Transform(doubled) >> Sink(put)
    Flow.register("apart", pipeline, registry=registry, engine=SubprocessEngine())
    async with running(registry, tmp_path) as app:
        await trigger_traced(app, "apart")
    run = one(collected.named(names.RUN_SPAN))
    spans = collected.named("double")
    assert [(span.trace_id, span.parent_span_id) for span in spans] == [(TRACE, run.span_id)] * 3


async def test_a_failed_run_says_so_and_a_run_without_a_trigger_begins_a_trace(
    collected: Collected, tmp_path: Path
) -> None:
    registry: Registry[Flow] = Registry()

    async def fails(run: RunContext) -> None:
        raise OSError("the disk is full")

    Flow.register("fails", fails, registry=registry)
    async with running(registry, tmp_path) as app:
        await app.trigger("fails")
    run = one(collected.named(names.RUN_SPAN))
    assert (run.parent_span_id, run.status.code) == (b"", 2)
    assert attributes(run)["error.type"] == "OSError"
    assert "disk" not in str(run)


async def test_metrics_go_to_the_collector_too(collected: Collected, tmp_path: Path) -> None:
    registry: Registry[Flow] = Registry()

    async def does(run: RunContext) -> None:
        """Nothing."""

    Flow.register("does", does, registry=registry)
    async with running(registry, tmp_path, metrics_enabled=False) as app:
        await app.trigger("does")
        assert app.app.metrics is None
    point = one(list(collected.metrics[names.RUNS.name].sum.data_points))
    assert point.as_int == 1 or point.as_double == 1
    assert {one.key: one.value.string_value for one in point.attributes} == {
        "flow": "does",
        "state": "SUCCESS",
    }
    assert list(
        one(list(collected.metrics[names.RUN_DURATION.name].histogram.data_points)).explicit_bounds
    ) == list(names.RUN_DURATION.bounds)


async def test_without_an_endpoint_no_span_is_made(tmp_path: Path) -> None:
    registry: Registry[Flow] = Registry()
    seen: list[str] = []

    async def looks(run: RunContext) -> None:
        seen.append(trace_parent.get())

    Flow.register("looks", looks, registry=registry)
    async with running(registry, tmp_path) as app:
        await app.trigger("looks")
    assert seen == [""]


def test_an_endpoint_without_the_extra_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switches, "EXPORTER", "opentelemetry.exporter.otlp.is_not_there")
    with pytest.raises(RequestRefused, match=r"pip install 'piko-flow\[otlp\]'"):
        switches.exports("traces", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/v1/metrics"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_variables_say_whether_spans_go_out(variables: dict[str, str], expected: bool) -> None:
    assert switches.exports("traces", variables) is expected


def test_another_protocol_is_refused_with_what_to_do() -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with pytest.raises(RequestRefused, match="http/protobuf"):
        switches.exports("traces", variables)
