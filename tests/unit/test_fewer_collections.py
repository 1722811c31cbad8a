"""Blocks that ask for fewer collections of garbage may overlap: the most patient one counts while it is open."""

from __future__ import annotations

import gc
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from piko_flow.dataflow.running.operators.garbage import fewer_collections
from piko_flow.ops.metrics import MetricsPage

SERIES = 60_000


def first() -> int:
    return gc.get_threshold()[0]


def test_the_most_patient_of_the_open_blocks_counts() -> None:
    before = gc.get_threshold()
    with fewer_collections(100_000):
        with fewer_collections(900_000):
            assert first() == 900_000
        assert first() == 100_000
        outer, inner = fewer_collections(300_000), fewer_collections(200_000)
        with outer, inner:
            assert first() == 300_000
        assert gc.get_threshold()[1:] == before[1:]
    assert gc.get_threshold() == before


def test_where_a_person_has_switched_collections_off_they_stay_off() -> None:
    before = gc.get_threshold()
    gc.set_threshold(0)
    try:
        with fewer_collections(100_000), fewer_collections(200_000):
            assert first() == 0
        assert first() == 0
    finally:
        gc.set_threshold(*before)


class Many(Collector):
    """More series than are made between two collections where a loop of a pipeline asks for few."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("many", "told", labels=["flow"])
        for number in range(SERIES):
            family.add_metric([f"flow {number}"], number)
        yield family


def test_no_collection_stops_the_loops_while_a_page_of_metrics_is_made() -> None:
    registry, collections = CollectorRegistry(), list[str]()
    registry.register(Many())

    def collected(phase: str, _: object) -> None:
        collections.append(phase)

    gc.collect()
    gc.callbacks.append(collected)
    try:
        page = MetricsPage(registry).render("")
    finally:
        gc.callbacks.remove(collected)
    assert page.plain.count(b"many{") == SERIES
    assert collections == []
