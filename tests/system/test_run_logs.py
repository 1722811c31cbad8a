"""What a run leaves for people: its lines with their stage, its report, and where it is while it runs."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from piko_flow import CpuMap, Flow, Registry, Retry, Sink, Source, Transform
from piko_flow.control.flows.run_context import RunContext
from piko_flow.engines.subprocess import SubprocessEngine
from piko_flow.store.ops_records import LogLine
from piko_flow.telemetry.logs import JsonLines, RunFields, TextLines
from tests.system.running_app import Running, eventually, running
from tests.system.traced_flows import logs_in_a_worker

library = logging.getLogger("some.library")


class Login(BaseModel):
    password: SecretStr = SecretStr("hunter2")


def parsed(item: int) -> int:
    if item == 3:
        library.warning("item %d is odd", item)
    return item


def checked(item: int) -> int:
    if item == 5:
        library.warning("item %d is five", item)
    return item


async def fetched(item: int) -> int:
    if item == 7:
        library.warning("item %d came late", item)
    return item


def stored(item: int) -> int:
    if item == 8:
        library.warning("item %d is stored on a thread", item)
    return item


def put(item: object) -> None:
    """A sink."""


async def lines(app: Running, run: int, at_least: int) -> list[LogLine]:
    """The kept lines of a run, as soon as there are so many."""

    async def enough() -> list[LogLine]:
        found = await app.app.ask(lambda plane: plane.store.log(run))
        return found if len(found) >= at_least else []

    return await eventually(enough)


async def reports(app: Running, run: int) -> dict[int, Any]:
    found = await eventually(lambda: app.app.ask(lambda plane: plane.store.reports(run)))
    return {attempt: json.loads(text) for attempt, text in found.items()}


async def test_lines_of_any_logger_are_kept_with_the_stage_that_logged_them(tmp_path: Path) -> None:
    registry: Registry[Flow] = Registry()
    chain = Source(range(10)) >> Transform(parsed) >> Transform(checked) >> Transform(fetched, concurrency=2)
    Flow.register("chain", chain >> Transform(stored, on="thread") >> Sink(put), registry=registry)
    async with running(registry, tmp_path) as app:
        run = await app.trigger("chain")
        kept = await lines(app, run.id, 4)
    assert {(line.message, line.stage) for line in kept} == {
        ("item 3 is odd", "parsed"),
        ("item 5 is five", "checked"),
        ("item 7 came late", "fetched"),
        ("item 8 is stored on a thread", "stored"),
    }
    assert {(line.logger, line.level, line.attempt) for line in kept} == {("some.library", "WARNING", 1)}


async def test_lines_of_other_processes_are_kept_with_the_run_and_where_it_is_known_the_stage(
    tmp_path: Path,
) -> None:
    registry: Registry[Flow] = Registry()

    async def asks(run: RunContext) -> None:
        await run.cpu.map(logs_in_a_worker, range(5))

    Flow.register(
        "stage", Source(range(5)) >> CpuMap(logs_in_a_worker, workers=1) >> Sink(put), registry=registry
    )
    Flow.register("asks", asks, registry=registry)
    apart = Source(range(5)) >> Transform(logs_in_a_worker) >> Sink(put)
    Flow.register("apart", apart, registry=registry, engine=SubprocessEngine())
    async with running(registry, tmp_path) as app:
        kept = [(await lines(app, (await app.trigger(flow)).id, 1))[0] for flow in ("stage", "asks", "apart")]
    assert [(line.logger, line.message, line.stage) for line in kept] == [
        ("some.library", "item 3 in a worker", "logs_in_a_worker"),
        ("some.library", "item 3 in a worker", ""),
        ("some.library", "item 3 in a worker", ""),
    ]


async def test_each_attempt_keeps_its_lines_and_the_traceback(tmp_path: Path) -> None:
    registry: Registry[Flow] = Registry()

    async def tries(run: RunContext) -> None:
        run.logger.info("attempt %d", run.attempt)
        if run.attempt == 1:
            try:
                raise OSError("the disk is full")
            except OSError:
                library.exception("it went wrong")
                raise

    Flow.register("tries", tries, registry=registry, retry=Retry(attempts=2, first=0.01))
    async with running(registry, tmp_path) as app:
        run = await app.trigger("tries")
        kept = await lines(app, run.id, 3)
    assert [(line.attempt, line.message.splitlines()[0]) for line in kept] == [
        (1, "attempt 1"),
        (1, "it went wrong"),
        (2, "attempt 2"),
    ]
    assert "OSError: the disk is full" in kept[1].message


async def test_secrets_are_not_in_kept_lines(tmp_path: Path) -> None:
    registry: Registry[Flow] = Registry()

    async def talks(run: RunContext[Login]) -> None:
        library.warning("log in with %s", run.params.password.get_secret_value())
        library.warning("pin=1234 at postgresql://me:pass1@host/db")

    Flow.register("talks", talks, registry=registry, params=Login, redact=("pin",))
    async with running(registry, tmp_path) as app:
        run = await app.trigger("talks")
        kept = await lines(app, run.id, 2)
    text = "\n".join(line.message for line in kept)
    assert not any(secret in text for secret in ("hunter2", "1234", "pass1"))
    assert "log in with ******" in text


async def test_lines_come_while_the_run_goes_on_and_it_is_shown_where_it_is(tmp_path: Path) -> None:
    registry: Registry[Flow] = Registry()
    go_on: list[asyncio.Event] = []

    async def held(item: int) -> int:
        if not go_on:
            go_on.append(asyncio.Event())
            library.warning("waiting")
        await go_on[0].wait()
        return item

    Flow.register("held", Source(range(20)) >> Transform(held, concurrency=2) >> Sink(put), registry=registry)
    async with running(registry, tmp_path) as app:
        run = await app.app.ask(lambda plane: plane.trigger("held"))
        [line] = await lines(app, run.id, 1)
        live = await eventually(lambda: app.app.ask(lambda plane: plane.store.shown_live([run.id])))
        app.app.service.runs_thread.loop.call_soon_threadsafe(go_on[0].set)
        await app.at_least(1, "held", "SUCCESS")
        report = (await reports(app, run.id))[1]

        async def shown_no_more() -> bool:
            return not await app.app.ask(lambda plane: plane.store.shown_live([run.id]))

        assert await eventually(shown_no_more)
    assert (line.message, line.stage) == ("waiting", "held")
    shown = json.loads(live[run.id][1])
    assert {stage["name"]: stage["emitted"] for stage in shown["stages"]} == {
        "range": 20,
        "held": 0,
        "put": 0,
    }
    assert shown["units_done"] == 0
    assert (report["outcome"], report["items"]) == ("succeeded", 20)


async def test_a_failed_attempt_has_a_report_of_how_far_it_came_with_the_item_that_failed_alone(
    tmp_path: Path,
) -> None:
    registry: Registry[Flow] = Registry()

    def breaks(item: str) -> str:
        raise ValueError("no")

    Flow.register(
        "breaks", Source(["s3cr3t", "another"]) >> Transform(breaks) >> Sink(put), registry=registry
    )
    async with running(registry, tmp_path) as app:
        run = await app.trigger("breaks")
        report = (await reports(app, run.id))[1]
    assert report["outcome"] == "failed"
    assert [stage["name"] for stage in report["stages"]] == ["list", "breaks", "put"]
    assert report.pop("failure")["item"] == "'s3cr3t'"
    assert "s3cr3t" not in json.dumps(report)
    assert "another" not in json.dumps(report)


async def test_a_plain_job_that_logs_nothing_leaves_nothing(tmp_path: Path) -> None:
    registry: Registry[Flow] = Registry()

    async def quiet(run: RunContext) -> None:
        """Nothing."""

    Flow.register("quiet", quiet, registry=registry)
    async with running(registry, tmp_path) as app:
        run = await app.trigger("quiet")
        assert await app.app.ask(lambda plane: plane.store.log(run.id)) == []
        assert await app.app.ask(lambda plane: plane.store.reports(run.id)) == {}


async def test_formatters_tell_the_run_of_any_logger(tmp_path: Path) -> None:
    registry: Registry[Flow] = Registry()
    told: list[str] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(self.format(record))

    async def talks(run: RunContext) -> None:
        library.warning("hello")

    Flow.register("talks", talks, registry=registry)
    own = logging.Formatter("%(flow)s/%(run)s %(message)s")
    handlers = [Keeps() for _ in range(3)]
    for handler, lines_of in zip(handlers, (TextLines(), JsonLines(), own), strict=True):
        handler.setFormatter(lines_of)
        library.addHandler(handler)
    handlers[2].addFilter(RunFields())
    try:
        async with running(registry, tmp_path) as app:
            run = await app.trigger("talks")
    finally:
        for handler in handlers:
            library.removeHandler(handler)
    text, line, filtered = told
    assert text.endswith(f"hello [run={run.id} flow=talks attempt=1]")
    assert {"run": run.id, "flow": "talks", "attempt": 1}.items() <= json.loads(line).items()
    assert filtered == f"talks/{run.id} hello"
