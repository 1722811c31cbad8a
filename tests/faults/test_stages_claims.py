"""The claim on a run is checked before each sink commits, and a lost one stops what has not begun."""

from __future__ import annotations

import pytest

from piko_flow import Broadcast, Part, Receipt, Sink
from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.commit.commit import commit_decided, locked_targets
from piko_flow.testing import RecordingTarget, items


class ClaimLost(Exception):
    pass


async def test_a_claim_lost_between_two_sinks_keeps_the_second_from_committing() -> None:
    one: RecordingTarget[int] = RecordingTarget()
    two: RecordingTarget[int] = RecordingTarget()
    plan = (items(3) >> Broadcast(Sink(one, name="one"), Sink(two, name="two"))).plan()
    receipts = {name: Receipt(Part("r1", "all", sink=name), 0, {"token": name}) for name in ("one", "two")}
    decided = [UnitResult("all", exhausted=True, tallies=[], times=[], edges=[], receipts=receipts)]
    asked: list[int] = []

    async def claim() -> None:
        asked.append(one.record.count("commit") + two.record.count("commit"))
        if len(asked) == 2:
            raise ClaimLost

    async with locked_targets(plan, "r1", []) as targets:
        with pytest.raises(ClaimLost):
            await commit_decided(plan, targets, decided, "r1", claim=claim)
    assert asked == [0, 1]
    assert (one.record.steps(), two.record.steps()) == (["commit"], [])
