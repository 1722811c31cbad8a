"""The stages of a run on its page: from whatever text is kept, with the rates of the last moments."""

from __future__ import annotations

import json
from typing import Any

import pytest

from piko_flow.ops.console.live_rates import KEPT, LiveRates
from piko_flow.ops.console.stage_rows import Stages, stages_of


def text(seconds: float = 10.0, *, emitted: int = 100, **changes: Any) -> str:
    stages = [
        {
            "name": "orders",
            "kind": "Source",
            "where": "flow.py:1",
            "operator": 0,
            "emitted": emitted,
            "busy": seconds * 0.1,
            "blocked": seconds * 0.9,
        },
        {
            "name": "check",
            "kind": "Transform",
            "where": "flow.py:2",
            "operator": 1,
            "received": 100,
            "emitted": 90,
            "dead": 10,
            "busy": seconds * 0.2,
            "waiting": seconds * 0.8,
        },
        {
            "name": "shop",
            "kind": "Sink",
            "where": "flow.py:3",
            "operator": 2,
            "received": 90,
            "busy": seconds,
        },
    ]
    return json.dumps({"seconds": seconds, "stages": stages, "edges": [], **changes})


def read(written: str) -> Stages:
    found = stages_of(written)
    assert found is not None
    return found


def test_a_report_is_shown_stage_by_stage() -> None:
    found = read(text(written=["90 rows"], more=True))
    source, check, shop = found.rows
    assert (source.title, source.held_up, source.rate) == ("Source orders", True, 10.0)
    assert (check.counts["dead"], check.held_up, check.waiting) == (10, False, 0.8)
    assert (shop.bottleneck, source.bottleneck) == (True, False)
    assert found.columns == ("dead",)
    assert found.bottleneck == "Bottleneck: Sink shop, busy 100% of the time"
    assert (found.written, found.more) == (("90 rows",), True)
    assert source.told == "busy 10%, waiting for input 0%, blocked 90%"


def test_stages_of_one_loop_share_their_time() -> None:
    values = json.loads(text())
    for stage in values["stages"]:
        stage["operator"] = 7
    assert [row.shared for row in read(json.dumps(values)).rows] == [False, True, True]


@pytest.mark.parametrize(
    "written",
    [None, "", "no json", "[]", "{}", '{"stages": 7}', '{"stages": []}', '{"stages": [1, "x"]}', "[" * 5000],
)
def test_what_is_no_report_is_none(written: str | None) -> None:
    assert stages_of(written) is None


def test_fields_that_are_not_what_they_should_be_do_no_harm() -> None:
    odd = {"name": None, "kind": 7, "busy": "long", "received": None, "unknown": [1], "emitted": 2.0}
    [row] = read(json.dumps({"seconds": None, "stages": [odd], "dead_letters": 3})).rows
    assert (row.received, row.emitted, row.busy, row.rate) == (0, 2, 0.0, None)


def test_the_rate_of_a_live_run_is_that_of_its_last_moments() -> None:
    rates = LiveRates()

    def now(seconds: float, emitted: int) -> float | None:
        found = rates.now(1, stages_of(text(seconds, emitted=emitted)))
        assert found is not None
        return found.rows[0].rate

    assert now(10, 100) == 10.0  # seen once: since it began
    assert now(12, 300) == 100.0
    assert now(12, 300) == 100.0  # the same moment, asked by another browser
    assert now(14, 300) == 50.0  # it stood still for a moment
    assert [now(16 + 2 * step, 300) for step in range(6)][-1] == 0.0  # and then for all that is remembered
    assert now(1, 5) == 5.0  # another attempt begins


def test_only_so_many_runs_are_remembered() -> None:
    rates = LiveRates()
    for run in range(KEPT + 1):
        rates.now(run, stages_of(text(10)))
    again = rates.now(0, stages_of(text(12, emitted=300)))
    assert again is not None
    assert again.rows[0].rate == 25.0  # as one that is seen for the first time
    assert rates.now(1, None) is None
