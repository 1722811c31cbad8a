"""The graph on a flow's page: which stage is held up, what flows between stages, and whatever their names are."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from piko_flow import Sink, Source, Transform
from piko_flow.dataflow.stages.stage import Stage
from piko_flow.ops.console.formats import DASH, rate
from piko_flow.ops.console.graph_picture import Box, GraphPicture
from piko_flow.ops.console.live_rates import LiveRates
from piko_flow.ops.console.stage_rows import Stages, stages_of


def price(order: int) -> int:
    return order


def write(order: int) -> None:
    pass


def chain() -> Stage:
    made: Stage = Source([1], name="orders") >> Transform(price, name="price") >> Sink(write, name="shop")
    return made


def stages(seconds: float = 10.0, **changes: dict[str, Any]) -> Stages:
    """A report in which the sink holds the others up; `changes` are by stage."""
    facts: list[dict[str, Any]] = [
        {"name": "orders", "kind": "Source", "operator": 0, "emitted": 5000, "busy": 1.0, "blocked": 9.0},
        {
            "name": "price",
            "kind": "Transform",
            "operator": 1,
            "received": 5000,
            "emitted": 4000,
            "blocked": 6.0,
        },
        {"name": "shop", "kind": "Sink", "operator": 2, "received": 4000, "busy": 10.0},
    ]
    told = [{**each, **changes.get(each["name"], {})} for each in facts]
    found = stages_of(json.dumps({"seconds": seconds, "stages": told, "edges": []}))
    assert found is not None
    return found


def by_name(boxes: tuple[Box, ...]) -> dict[str, Box]:
    """The boxes by the names written in them."""
    return {line.text: box for box in boxes for line in box.lines if line.style == "g-name"}


def test_a_stage_that_is_held_up_is_told_from_the_one_that_holds_it_up() -> None:
    picture = GraphPicture(chain()).drawn(stages(), live=True)
    states = {name: box.state for name, box in by_name(picture.boxes).items()}
    assert states == {"orders": "blocked", "price": "blocked", "shop": "bottleneck"}
    assert "blocked 90%" in by_name(picture.boxes)["orders"].told
    assert [joint.blocked for joint in picture.joints] == [True, True]


def test_a_stage_is_held_up_from_a_quarter_of_its_time_on() -> None:
    graph = GraphPicture(chain())
    for blocked, state in ((2.4, ""), (2.5, "blocked")):
        picture = graph.drawn(stages(price={"blocked": blocked}), live=True)
        assert by_name(picture.boxes)["price"].state == state
        assert picture.joints[1].blocked is (state == "blocked")


def test_a_stage_with_dead_items_is_told_unless_it_is_held_up() -> None:
    graph = GraphPicture(chain())
    dead = graph.drawn(stages(price={"blocked": 0.0, "dead": 3}), live=False)
    both = graph.drawn(stages(price={"blocked": 6.0, "dead": 3}), live=False)
    assert (by_name(dead.boxes)["price"].state, by_name(both.boxes)["price"].state) == ("dead", "blocked")


def test_edges_of_a_live_run_tell_items_a_second_and_those_of_an_ended_one_items() -> None:
    graph, rates = GraphPicture(chain()), LiveRates()
    rates.now(1, stages(10.0))
    now = rates.now(1, stages(12.0, orders={"emitted": 5300}, price={"emitted": 4050}))
    assert [joint.flows for joint in graph.drawn(now, live=True).joints] == ["150/s", "25/s"]
    assert [joint.flows for joint in graph.drawn(stages(), live=False).joints] == ["5,000", "4,000"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, DASH),
        (0.0, "0/s"),
        (2.5, "2.5/s"),
        (999.4, "999/s"),
        (999.7, "1k/s"),
        (1234.0, "1.23k/s"),
        (999_960.0, "1M/s"),
    ],
)
def test_a_rate_is_told_in_three_digits_and_never_with_an_exponent(value: float | None, told: str) -> None:
    assert rate(value) == told


def test_a_graph_without_a_run_is_drawn_without_numbers_and_states() -> None:
    picture = GraphPicture(chain()).drawn(None, live=False)
    assert [joint.flows for joint in picture.joints] == ["", ""]
    assert {box.state for box in picture.boxes} == {""}
    assert not any(joint.blocked for joint in picture.joints)


def test_a_report_of_stages_that_the_code_no_longer_has_colours_nothing() -> None:
    found = stages()
    old = replace(found, rows=tuple(replace(row, name=f"old_{row.name}") for row in found.rows))
    picture = GraphPicture(chain()).drawn(old, live=True)
    assert {box.state for box in picture.boxes} == {""}
    assert [joint.flows for joint in picture.joints] == ["", ""]
