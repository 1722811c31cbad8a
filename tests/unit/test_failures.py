"""What is kept of the error that ended an attempt: within bounds, in one statement, each attempt its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from piko_flow import Flow, Registry, Sink, Source, Transform
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.params.redaction import NOTHING_HIDDEN, LineRedaction, Redaction
from piko_flow.control.runs.execution import RunOrder
from piko_flow.control.runs.executions import Executions
from piko_flow.control.runs.failure_record import (
    FRAMES,
    ITEM,
    ToldAttempt,
    ToldFailure,
    failures_in,
    failures_of,
    message_of,
    told_failure,
)
from piko_flow.control.runs.run_details import RunDetails
from piko_flow.dataflow.reports.failed_place import TRACE, trace_of
from piko_flow.errors import ErrorBudgetExceeded, StageFailed
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.records import RunRecord
from tests.unit.executing import Place


def told(error: BaseException, *names: str, secrets: Sequence[str] = ()) -> ToldFailure:
    redaction = Redaction.of(names)
    return told_failure(error, message_of(error), redaction, LineRedaction(redaction, secrets))


def raised(error: Exception, depth: int = 0) -> Exception:
    """The error as it is caught, so many functions deeper."""

    def deep(left: int) -> None:
        if left:
            deeper(left - 1)
        raise error

    def deeper(left: int) -> None:
        deep(left)

    with pytest.raises(type(error)) as caught:
        deep(depth)
    return caught.value


def of_stage(item: object, cause: Exception) -> StageFailed:
    failed = StageFailed(stage="parse", where="shop.py:3", item=item, run="1", cause=cause)
    failed.__cause__ = cause
    return failed


def test_of_too_many_bad_items_the_first_is_kept() -> None:
    first = of_stage({"order": 7}, raised(ValueError("no")))
    error = ErrorBudgetExceeded(bad=2, of=4, allowed=1, run="1", first=first)
    error.__cause__ = first.__cause__
    failure = told(error)
    assert (failure.error_type, failure.stage, failure.item) == (
        "ErrorBudgetExceeded",
        "parse",
        "{'order': 7}",
    )
    assert failure.traceback.endswith("ValueError: no\n")
    assert failure.frames[-1].endswith("in deep")


def test_the_innermost_places_of_the_flow_are_named_innermost_last() -> None:
    failure = told(raised(ValueError("no"), depth=30))
    assert len(failure.frames) == FRAMES
    assert failure.place == failure.frames[-1]
    assert failure.place.endswith(" in deep")
    assert failure.place.startswith("test_failures.py:")


def test_of_a_stage_the_traceback_is_that_of_its_function_with_the_causes() -> None:
    cause = raised(LookupError("no such order"))
    cause.__cause__ = raised(KeyError("17"))
    failure = told(of_stage({"order": 17}, cause))
    assert (failure.error_type, failure.stage, failure.item) == ("LookupError", "parse", "{'order': 17}")
    assert failure.traceback.index("KeyError: '17'") < failure.traceback.index("LookupError: no such order")
    assert "StageFailed" not in failure.traceback


def test_a_long_item_loses_its_end_and_a_long_traceback_its_beginning() -> None:
    failure = told(of_stage("i" * 10_000, raised(ValueError("m" * 100_000 + " end"))))
    assert failure.item is not None
    assert (len(failure.item), failure.item[-1]) == (ITEM, "…")
    plain = told(raised(ValueError("m" * 2 * TRACE + " end")))
    assert (len(plain.traceback), plain.traceback[0]) == (TRACE, "…")
    assert plain.traceback.endswith(" end\n")
    assert plain.place.startswith("test_failures.py:")


def test_a_secret_at_the_cut_is_hidden_whole() -> None:
    secret = "s3cr3t-" * 20
    error = raised(ValueError(secret + "m" * (TRACE - len(secret) // 2)))
    assert "s3cr3t" in trace_of(error)
    assert "s3cr3t" not in told(error, secrets=[secret]).traceback


def test_an_error_without_a_traceback_keeps_none() -> None:
    failure = told(TimeoutError("too late"))
    assert (failure.traceback, failure.place, failure.frames) == ("", "", ())


def test_an_item_without_fields_is_not_shown_where_some_are_to_be_hidden() -> None:
    class Card:
        def __repr__(self) -> str:
            return "Card(4111)"

    assert told(of_stage(Card(), raised(ValueError("no"))), "number").item == "******"


def test_what_cannot_be_written_is_kept_as_its_code() -> None:
    attempt = ToldAttempt()
    attempt.failure = told(of_stage("\udc80", raised(ValueError("name \udc80"))))
    text = attempt.report()
    assert text is not None
    text.encode()
    assert "name \\udc80" in failures_in({1: text})[1].traceback


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"failure": 1}', '{"failure": {"frames": 1}}', "[" * 100_000]
)
def test_a_report_in_another_form_has_no_failure(text: str) -> None:
    assert failures_in({1: text}) == {}


class Followed:
    """A place whose runs leave something; `asked` counts what is asked of the store for that."""

    def __init__(self) -> None:
        self.place, self.asked = Place(), 0

    async def ask(self, write: object) -> None:
        assert callable(write)
        self.asked += 1
        await write(self.place.store)

    @asynccontextmanager
    async def executions(self) -> AsyncIterator[Executions]:
        async with RunDetails(ask=self.ask, clock=self.place.clock, replica="a") as details:
            self.place.with_tools(details=details)
            async with Executions(self.place.tools, lambda run, outcome: self.ended.set()) as executions:
                yield executions

    async def execute(self, flow: Flow, *records: RunRecord) -> None:
        """Execute attempts, one after the other, and keep what they leave."""
        for record in records:
            self.ended = asyncio.Event()
            async with self.executions() as executions:
                executions.start([RunOrder(record, flow, None)])
                await self.ended.wait()


def flow_of(target: object) -> Flow:
    return Flow.register("work", target, registry=Registry())  # type: ignore[call-overload, no-any-return]


async def fails(run: RunContext) -> None:
    raise OSError(f"attempt {run.attempt}")


async def works(run: RunContext) -> None:
    """Nothing."""


def refuse(item: int) -> int:
    raise ValueError("no")


async def test_a_job_that_succeeds_costs_no_statement_and_one_that_fails_one() -> None:
    followed = Followed()
    for target, statements in ((works, 0), (fails, 1)):
        flow = flow_of(target)
        await followed.execute(flow, await followed.place.claimed(flow))
        assert followed.asked == statements


async def test_a_pipeline_that_fails_keeps_its_account_and_the_failure_in_one_report() -> None:
    followed, flow = Followed(), flow_of(Source([1]) >> Transform(refuse) >> Sink(list[int]().append))
    record = await followed.place.claimed(flow)
    await followed.execute(flow, record)
    reports = await followed.place.store.reports(record.id)
    assert [stage["name"] for stage in json.loads(reports[1])["stages"]][1] == "refuse"
    assert failures_in(reports)[1].stage == "refuse"
    assert '"failure"' in reports[1]


async def test_a_run_that_was_rescued_keeps_what_its_attempts_before_left() -> None:
    followed, flow = Followed(), flow_of(fails)
    first = await followed.place.claimed(flow)
    await followed.execute(flow, first)
    second = replace(first, attempt=2)
    again = replace(await followed.place.claimed_again(first), attempt=2, rescues=1)
    await followed.execute(flow, second, again)
    failures = failures_in(await followed.place.store.reports(first.id))
    assert {attempt: failure.message.split(" (")[0] for attempt, failure in failures.items()} == {
        1: "OSError: attempt 1",
        2: "OSError: attempt 2",
    }


def test_what_a_replica_kept_that_had_lost_the_run_is_not_told_of_its_last_attempt() -> None:
    attempt = ToldAttempt()
    attempt.failure = told(raised(OSError("the disk is full")))
    text = attempt.report()
    assert text is not None
    run = RunRecord(
        1,
        "work",
        RunStatus.SUCCESS,
        scheduled_time=datetime(2026, 1, 1, tzinfo=UTC),
        key="k",
        origin="trigger",
        attempt=2,
    )
    assert list(failures_of(run, {1: text, 2: text})) == [1]
    assert list(failures_of(replace(run, status=RunStatus.FAILED), {1: text, 2: text})) == [1, 2]


def test_what_is_secret_is_hidden_before_a_message_is_cut() -> None:
    error = ValueError("m" * 490 + " s3cr3t-s3cr3t-s3cr3t")
    hide = LineRedaction(NOTHING_HIDDEN, ["s3cr3t-s3cr3t-s3cr3t"])
    assert "s3cr" in message_of(error)
    assert "s3cr" not in message_of(error, hide)
