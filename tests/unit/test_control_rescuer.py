"""What becomes of a run whose replica died: one case for each way."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from piko_flow.control.leader.draft import Draft
from piko_flow.control.leader.reign import Reign
from piko_flow.control.leader.rescuer import RESCUES, rescue
from piko_flow.control.runs.recorder import LeaderAnswer
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Requeue, Term
from piko_flow.store.records import RunRecord
from tests.unit.planes import NOW, hour

TERM = Term("default", 1)


def lost(**columns: Any) -> RunRecord:
    """A run that a dead replica was running under its third claim."""
    run = RunRecord(7, "orders", RunStatus.RUNNING, NOW, claim=3, replica="dead", host="host-9")
    return replace(run, admitted=True, **columns)


def rescued(run: RunRecord) -> tuple[Reign, Draft]:
    reign, draft = Reign(TERM, group_limits={}), Draft(TERM)
    reign.add(run)
    rescue(reign, draft, [run])
    return reign, draft


@pytest.mark.parametrize("rescues", range(RESCUES))
def test_it_goes_back_to_the_queue_under_its_claim_and_the_rescue_counts(rescues: int) -> None:
    reign, draft = rescued(lost(rescues=rescues))
    assert draft.ask.requeues == [Requeue(7, 3, Reason.RESCUED, rescue=True)]
    assert draft.ask.endings == []
    back = reign.live[7]
    assert (back.status, back.replica, back.admitted, back.rescues) == (
        RunStatus.QUEUED,
        "",
        False,
        rescues + 1,
    )
    assert (reign.admission.waiting, reign.admission.running) == (1, 0)


@pytest.mark.parametrize("wish", ["", "ada"])
@pytest.mark.parametrize(("window", "mark"), [(None, None), (hour(3), Mark.FAILED)])
def test_one_that_has_cost_too_many_replicas_fails_and_so_does_its_window(
    window: Any, mark: Mark | None, wish: str
) -> None:
    reign, draft = rescued(lost(rescues=RESCUES, window=window, cancel_requested=wish))
    [end] = draft.ask.endings
    assert (end.run, end.claim, end.status, end.reason) == (
        7,
        3,
        RunStatus.FAILED,
        Reason.RESCUED_TOO_OFTEN,
    )
    assert (end.window, end.mark, end.error_type) == (window, mark, "ReplicaDied")
    assert end.error_msg == f"{RESCUES + 1} replicas died while they ran it, the last on host host-9"
    assert draft.ask.requeues == []
    assert reign.live == {}
    assert reign.admission.running == 0


@pytest.mark.parametrize("window", [None, hour(3)])
def test_one_that_somebody_wants_cancelled_is_and_its_window_stays_a_gap(window: Any) -> None:
    reign, draft = rescued(lost(rescues=1, window=window, cancel_requested="ada"))
    [end] = draft.ask.endings
    assert (end.run, end.claim, end.status, end.reason) == (7, 3, RunStatus.CANCELLED, Reason.CANCELLED)
    assert (end.window, end.mark) == (window, None)
    assert draft.ask.requeues == []
    assert reign.live == {}


@pytest.mark.parametrize(
    ("rescues", "told"),
    [(0, "run 7 of 'orders' was taken from replica dead"), (RESCUES, "run 7 of 'orders' failed: 4 replicas")],
)
@pytest.mark.parametrize("held", [True, False])
def test_it_is_told_when_it_was_written_and_the_claim_still_held(
    rescues: int, told: str, held: bool, caplog: pytest.LogCaptureFixture
) -> None:
    _, draft = rescued(lost(rescues=rescues))
    assert caplog.messages == [], "nothing is written yet"
    with caplog.at_level(logging.WARNING, "piko_flow.rescuer"):
        draft.tell(LeaderAnswer(NOW, stale=set() if held else {7}))
    assert [message.startswith(told) for message in caplog.messages] == [True] * held
