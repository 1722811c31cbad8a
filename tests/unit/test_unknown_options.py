"""A constructor that is given an option it does not have names its options, and the one that was probably meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from piko_flow import Capacity, LocalEngine, Resource, ResourcePool, Retry
from piko_flow.connectors.files import CsvSink, JsonLinesSink, ParquetSink
from piko_flow.connectors.http import HttpClient, RateLimit
from piko_flow.connectors.redis_streams import RedisStreamSink
from piko_flow.connectors.sql import SqlSink
from piko_flow.engines.subprocess import SubprocessEngine

MISSPELT: list[tuple[Callable[..., Any], str, str]] = [
    (Retry, "attempt", "attempts"),
    (Capacity, "item", "items"),
    (LocalEngine, "paralel", "parallel"),
    (SubprocessEngine, "paralel", "parallel"),
    (Resource, "scop", "scope"),
    (ResourcePool, "teardwn", "teardown"),
    (SqlSink, "tabel", "table"),
    (CsvSink, "qqqq", ""),
    (JsonLinesSink, "stroe", "store"),
    (ParquetSink, "stroe", "store"),
    (HttpClient, "header", "headers"),
    (RateLimit, "per_secnd", "per_second"),
    (RedisStreamSink, "timeot", "timeout"),
]


@pytest.mark.parametrize(("constructor", "given", "meant"), MISSPELT)
def test_a_misspelt_option_is_refused_with_the_one_that_was_meant(
    constructor: Any, given: str, meant: str
) -> None:
    options = {given: 1}
    advice = rf". Did you mean {meant}=\?$" if meant else ""
    with pytest.raises(
        TypeError, match=rf"^{constructor.__name__}: the options are .*; got {given}={advice}"
    ):
        constructor(1, **options)


def test_a_constructor_shows_its_own_signature() -> None:
    assert list(inspect.signature(Retry).parameters) == ["attempts", "first", "limit", "on"]
