"""Figures of a process: they only grow, and an exporter finds each of them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from prometheus_client import generate_latest

from piko_flow.dataflow.reports.facts import Progress, StageReport
from piko_flow.telemetry import names
from piko_flow.telemetry.figures import OTHER, STAGES, Figures
from piko_flow.telemetry.instruments import looks
from piko_flow.telemetry.providers import Providers
from piko_flow.telemetry.stage_counts import StageCounts

PARSE = StageReport(name="parse", kind="Transform", where="a.py:1", operator=0)


def progress(*stages: StageReport) -> Progress:
    return Progress(run="1", seconds=1.0, stages=stages, edges=())


def text_of(providers: Providers) -> str:
    assert providers.registry is not None
    return generate_latest(providers.registry).decode()


def test_what_a_run_has_done_since_the_last_look_is_added() -> None:
    figures = Figures()
    counts = StageCounts("orders", figures)
    counts.look(progress(replace(PARSE, received=10, emitted=7, filtered=1, dead=2, retried=3)))
    counts.look(progress(replace(PARSE, received=30, emitted=26, filtered=2, dead=2, retried=3)))
    key = ("orders", "parse")
    assert figures.stage_items == {
        (*key, "in"): 30,
        (*key, "out"): 26,
        (*key, "filtered"): 2,
        (*key, "dead"): 2,
    }
    assert (figures.stage_retries, figures.stage_errors) == ({key: 3}, {key: 2})


def test_two_runs_of_a_flow_add_up_and_stay_when_they_have_ended() -> None:
    figures = Figures()
    for _ in range(2):
        StageCounts("orders", figures).look(progress(replace(PARSE, received=5, emitted=5)))
    assert figures.stage_items["orders", "parse", "in"] == 10


def test_stages_named_by_data_are_counted_together_beyond_a_number_of_names(
    caplog: pytest.LogCaptureFixture,
) -> None:
    figures = Figures()
    for number in range(STAGES + 20):
        named = replace(PARSE, name=f"stage-{number}", received=2, skipped=1, retried=1, busy=1.0)
        counts = StageCounts("orders", figures)
        counts.look(progress(named))
        counts.failed(named.name)
    StageCounts("mail", figures).look(progress(replace(PARSE, received=5)))
    assert figures.stage_items["orders", "stage-0", "in"] == 2
    assert figures.stage_items["orders", OTHER, "in"] == 40
    assert figures.stage_time["orders", OTHER, "busy"] == 20
    assert figures.stage_items["mail", "parse", "in"] == 5
    for counted in (figures.stage_retries, figures.stage_errors, figures.stage_time):
        assert len({stage for flow, stage, *_ in counted if flow == "orders"}) == STAGES + 1
    assert [record.getMessage() for record in caplog.records] == [
        "stages of 'orders' have more than 500 names: others are counted as 'other'"
    ]


def test_a_name_that_no_format_has_hides_no_other_figure() -> None:
    providers = Providers(service="test", version="1", environ={})
    try:
        counts = StageCounts("orders", providers.figures)
        counts.look(progress(replace(PARSE, name="half \udcff", received=1), replace(PARSE, received=2)))
        text = text_of(providers)
    finally:
        providers.close()
    assert 'piko_flow_stage_items_total{flow="orders",stage="half ?",state="in"} 1.0' in text
    assert 'piko_flow_stage_items_total{flow="orders",stage="parse",state="in"} 2.0' in text


def test_a_time_that_goes_back_adds_nothing_until_it_has_passed_where_it_was() -> None:
    figures = Figures()
    counts = StageCounts("orders", figures)
    told = []
    for busy in (2.0, 1.5, 1.9, 2.5):
        counts.look(progress(replace(PARSE, busy=busy)))
        told.append(figures.stage_time["orders", "parse", "busy"])
    assert told == [2.0, 2.0, 2.0, 2.5]


def test_counts_of_a_unit_that_began_anew_never_take_anything_away() -> None:
    figures = Figures()
    counts = StageCounts("orders", figures)
    for received in (8, 3, 9):
        counts.look(progress(replace(PARSE, received=received)))
    assert figures.stage_items["orders", "parse", "in"] == 9


def test_stages_of_one_loop_tell_their_time_once() -> None:
    figures = Figures()
    busy = replace(PARSE, busy=1.0)
    StageCounts("orders", figures).look(progress(busy, replace(busy, name="score")))
    assert figures.stage_time == {("orders", "parse", "busy"): 1.0}


def test_every_metric_has_an_instrument() -> None:
    histograms = {metric for metric in names.METRICS if metric.kind == "histogram"}
    assert {*looks(Figures()), *histograms} == set(names.METRICS)


def test_bounds_are_those_of_the_names() -> None:
    providers = Providers(service="test", version="1", environ={})
    try:
        providers.figures.run_ended("orders", "SUCCESS", 1500)
        found = re.findall(r'run_duration_seconds_bucket\{.*?le="([^"+]+)"', text_of(providers))
    finally:
        providers.close()
    assert [float(bound) for bound in found] == list(names.RUN_DURATION.bounds)


def test_a_thousand_flows_of_twenty_stages_are_kept_apart() -> None:
    providers = Providers(service="test", version="1", environ={})
    figures = providers.figures
    try:
        for flow in range(1000):
            figures.run_ended(f"flow {flow}", "SUCCESS", 10)
            for stage in range(20):
                for state in names.ITEM_STATES:
                    figures.stage_items[f"flow {flow}", f"stage {stage}", state] = 1
        text = text_of(providers)
    finally:
        providers.close()
    assert "overflow" not in text
    assert text.count("piko_flow_stage_items_total{") == 1000 * 20 * len(names.ITEM_STATES)
    assert text.count("piko_flow_run_duration_seconds_count{") == 1000


def test_without_prometheus_and_otlp_nothing_measures() -> None:
    providers = Providers(service="test", version="1", prometheus=False, environ={})
    try:
        assert not providers.measures
        assert providers.figures.duration is None
        assert providers.spans is None
        providers.figures.run_ended("orders", "SUCCESS", 10)
        assert providers.figures.runs == {("orders", "SUCCESS"): 1}
    finally:
        providers.close()
