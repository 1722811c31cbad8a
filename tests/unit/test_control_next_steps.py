"""What follows when an attempt has ended, and which version of the parameters is in force: rules without a store."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from piko_flow.control.flows.flow import Flow
from piko_flow.control.leader.params_book import ParamsBook
from piko_flow.control.runs.endings import DECIDED_ATTEMPTS, next_step
from piko_flow.control.runs.outcome import Outcome
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.planning.window import Window
from piko_flow.retry import Retry
from piko_flow.store.batch import Ending, Requeue
from piko_flow.store.records import ParamsVersion, RunRecord
from tests.unit.control_worlds import NOON, Flows, at

FAILED = Outcome(RunStatus.FAILED, Reason.ERROR, error_type="OSError", error_msg="disk full", retryable=True)
HOUR = Window(at(11), at(12))


def flow(attempts: int = 3, first: float = 60) -> Flow:
    return Flows().add("orders", retry=Retry(attempts, first=first, limit=3600))


def run(**facts: Any) -> RunRecord:
    return RunRecord(7, "orders", RunStatus.RUNNING, at(12), window=HOUR, claim=2, **facts)


def test_a_failure_with_attempts_left_is_followed_by_another_after_the_flows_wait() -> None:
    step = next_step(run(attempt=2), flow(), FAILED, NOON)
    assert step == Requeue(
        7, 2, Reason.ERROR, attempt=True, not_before=NOON + timedelta(seconds=120),
        error_type="OSError", error_msg="disk full",
    )  # fmt: skip


def test_the_last_failure_is_the_end_and_marks_the_window() -> None:
    step = next_step(run(attempt=3), flow(), FAILED, NOON)
    assert isinstance(step, Ending)
    assert (step.status, step.mark, step.window) == (RunStatus.FAILED, Mark.FAILED, HOUR)


@pytest.mark.parametrize(
    "change",
    [
        lambda record, outcome: (record, Outcome(RunStatus.FAILED, Reason.ERROR, retryable=False)),
        lambda record, outcome: (run(attempt=1, cancel_requested="ada"), outcome),
    ],
    ids=["it would not help", "somebody cancelled it"],
)
def test_a_failure_is_not_tried_again_when(
    change: Callable[[RunRecord, Outcome], tuple[RunRecord, Outcome]],
) -> None:
    record, outcome = change(run(attempt=1), FAILED)
    assert isinstance(next_step(record, flow(), outcome, NOON), Ending)


def test_a_run_of_a_flow_that_the_code_no_longer_has_is_not_tried_again() -> None:
    assert isinstance(next_step(run(attempt=1), None, FAILED, NOON), Ending)


def test_without_a_retry_there_is_one_attempt() -> None:
    assert isinstance(next_step(run(attempt=1), Flows().add("orders"), FAILED, NOON), Ending)


def test_a_run_that_goes_back_is_as_it_was() -> None:
    released = Outcome(RunStatus.QUEUED, Reason.RELEASED)
    assert next_step(run(attempt=3), flow(), released, NOON) == Requeue(7, 2, Reason.RELEASED)


def test_what_is_decided_is_carried_on_beyond_the_flows_attempts_and_not_for_ever() -> None:
    decided = Outcome(RunStatus.FAILED, Reason.ERROR, retryable=True, decided=True)
    last = 3 + DECIDED_ATTEMPTS
    assert isinstance(next_step(run(attempt=last - 1), flow(), decided, NOON), Requeue)
    assert isinstance(next_step(run(attempt=last), flow(), decided, NOON), Ending)


def test_what_is_decided_is_carried_on_although_somebody_wants_it_cancelled() -> None:
    decided = Outcome(RunStatus.FAILED, Reason.ERROR, retryable=True, decided=True)
    assert isinstance(next_step(run(attempt=1, cancel_requested="ada"), flow(), decided, NOON), Requeue)


@pytest.mark.parametrize(
    ("outcome", "mark"),
    [
        (Outcome(RunStatus.SUCCESS), Mark.DONE),
        (Outcome(RunStatus.SUCCESS, dead_items=3), Mark.INCOMPLETE),
        (Outcome(RunStatus.CANCELLED, Reason.CANCELLED), None),
    ],
    ids=["done", "incomplete", "a gap"],
)
def test_the_end_of_a_run_settles_its_window_or_leaves_it(outcome: Outcome, mark: Mark | None) -> None:
    step = next_step(run(), flow(), outcome, NOON)
    assert isinstance(step, Ending)
    assert (step.status, step.mark) == (outcome.status, mark)


def version(number: int, *, since: datetime | None = None, refused: str = "") -> ParamsVersion:
    return ParamsVersion("orders", "{}", effective_from=since, version=number, refused=refused, id=number)


def in_force(*versions: ParamsVersion, now: datetime = NOON) -> int | None:
    found = ParamsBook(versions).in_force("orders", now)
    return None if found is None else found.id


def test_the_newest_good_version_that_has_come_into_force_is_it_in_whatever_order_they_are_told() -> None:
    versions = (version(1), version(2, since=at(9)), version(3, since=at(20)), version(4, refused="no"))
    for told in permutations(versions):
        assert in_force(*told) == 2
        assert in_force(*told, now=at(20)) == 3


def test_an_older_version_with_a_later_date_gives_way_to_a_newer_one_without() -> None:
    assert in_force(version(1, since=at(20)), version(2)) == 2
    assert in_force(version(1, since=at(20)), version(2), now=at(21)) == 2


def test_without_a_good_version_in_force_there_is_none() -> None:
    assert in_force() is None
    assert in_force(version(1, refused="no"), version(2, since=at(20))) is None


def test_what_can_never_be_in_force_again_is_forgotten_and_what_is_in_force_is_found_by_its_id() -> None:
    book = ParamsBook()
    for number in range(1, 1001):
        book.add(version(number))
        assert book.in_force("orders", NOON) == version(number)
    assert [number for number in range(1, 1001) if book.of_id(number) is not None] == [1000]


def test_of_refused_versions_the_newest_is_remembered() -> None:
    book = ParamsBook([version(1)])
    for number in range(2, 50):
        book.add(version(number, refused="no"))
    assert book.newest("orders") == version(49, refused="no")
    assert [number for number in range(50) if book.of_id(number) is not None] == [1, 49]
