"""What is known only when every flow is registered."""

from __future__ import annotations

from typing import Any

import pytest

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.errors import FlowError
from piko_flow.testing import CollectingSink, items


def flow(registry: Registry[Flow], name: str, **options: Any) -> None:
    Flow.register(name, items(1) >> CollectingSink(), registry=registry, **options)


@pytest.fixture
def registry() -> Registry[Flow]:
    return Registry()


def test_flows_are_listed_by_name(registry: Registry[Flow]) -> None:
    for name in ("b", "a", "c"):
        flow(registry, name)
    assert (list(registry), len(registry), "b" in registry, "d" in registry) == (
        ["a", "b", "c"],
        3,
        True,
        False,
    )
    assert registry.get("d") is None


def test_an_unknown_name_is_told_with_the_nearest(registry: Registry[Flow]) -> None:
    flow(registry, "sync_orders")
    with pytest.raises(
        KeyError, match=r"no flow is registered as 'sync_order'; did you mean 'sync_orders'\?"
    ):
        registry["sync_order"]
    with pytest.raises(KeyError, match="there are: sync_orders"):
        registry["zzz"]
    with pytest.raises(KeyError, match="nor any other: was a package given"):
        Registry()["zzz"]


def test_flows_that_wait_for_each_other_in_a_row_go_together(registry: Registry[Flow]) -> None:
    flow(registry, "c", stateful=True, after="b")
    flow(registry, "b", stateful=True, after="a")
    flow(registry, "a", stateful=True)
    registry.check()


def test_waiting_for_an_unknown_flow_is_refused(registry: Registry[Flow]) -> None:
    flow(registry, "upstream", stateful=True)
    flow(registry, "down", stateful=True, after="upstraem")
    with pytest.raises(
        FlowError, match=r"flow 'down' .*after= names a registered flow; .*did you mean 'upstream'"
    ):
        registry.check()


def test_waiting_for_a_flow_without_windows_is_refused(registry: Registry[Flow]) -> None:
    flow(registry, "up")
    flow(registry, "down", stateful=True, after="up")
    with pytest.raises(
        FlowError, match=r"'up' .* keeps no ledger of windows. Register it with stateful=True"
    ):
        registry.check()


def test_waiting_in_a_circle_is_refused(registry: Registry[Flow]) -> None:
    for name, after in (("a", "c"), ("b", "a"), ("c", "b")):
        flow(registry, name, stateful=True, after=after)
    with pytest.raises(
        FlowError, match=r"flows do not wait for each other in a circle; . before . before . before ."
    ):
        registry.check()
