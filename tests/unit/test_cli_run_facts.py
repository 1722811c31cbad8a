"""What `run show` says of a run that somebody asked to stop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from piko_flow.cli import run_commands
from piko_flow.control.flows.told_times import Times
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.zones import find_zone
from tests.unit.planes import running, scene


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (RunStatus.RUNNING, "asked to stop by"),
        (RunStatus.SUCCESS, "asked to stop by"),
        (RunStatus.CANCELLED, "cancelled by"),
    ],
)
async def test_a_run_counts_as_cancelled_only_where_it_did_not_end_by_itself(
    status: RunStatus, told: str
) -> None:
    it = scene()
    view = await it.plane.run((await running(it, "orders")).id)
    view = replace(view, run=replace(view.run, cancel_requested="ann", status=status))
    facts = dict(run_commands._how_it_went(view, Times(find_zone("UTC"))))
    assert facts[told] == "ann"
