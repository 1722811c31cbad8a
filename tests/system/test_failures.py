"""The error that ended an attempt is kept with the attempt: where it was raised, on which item, without secrets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from piko_flow import CpuMap, Flow, Registry, Retry, Sink, Source, Transform
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.runs.failure_record import ToldFailure, failures_in
from piko_flow.engines.subprocess import SubprocessEngine
from piko_flow.store.records import RunRecord
from tests.system.failing_stages import closed_shop, halved, priced
from tests.system.running_app import Running, eventually, running


class Login(BaseModel):
    password: SecretStr = SecretStr("hunter2")


def put(item: object) -> None:
    """A sink."""


async def read_page(number: int) -> None:
    raise OSError(f"page {number} is torn")


async def reads(run: RunContext) -> None:
    try:
        await read_page(7)
    except OSError as error:
        raise RuntimeError("the book cannot be read") from error


async def waits(run: RunContext) -> None:
    await asyncio.Event().wait()


async def asks_a_worker(run: RunContext) -> None:
    await run.cpu.submit(halved, 3)


async def opens(run: RunContext, shop: None) -> None:
    """Never called."""


async def ended(app: Running, flow: str, **given: Any) -> tuple[RunRecord, dict[int, ToldFailure]]:
    """A run of the flow that has failed, with what is kept of it."""
    run = await app.trigger(flow, **given)

    async def kept() -> dict[int, ToldFailure]:
        found = failures_in(await app.app.ask(lambda plane: plane.store.reports(run.id)))
        return found if run.attempt in found else {}

    return run, await eventually(kept)


def flows() -> Registry[Flow]:
    registry: Registry[Flow] = Registry()
    numbers = Source(range(6))
    Flow.register("job", reads, registry=registry)
    Flow.register("late", waits, registry=registry, timeout=0.2)
    Flow.register("worker", asks_a_worker, registry=registry)
    Flow.register("resource", opens, registry=registry, resources={"shop": closed_shop})
    Flow.register("pipeline", numbers >> Transform(halved) >> Sink(put), registry=registry)
    Flow.register("cpu", numbers >> CpuMap(halved, workers=1) >> Sink(put), registry=registry)
    apart = numbers >> Transform(halved) >> Sink(put)
    Flow.register("apart", apart, registry=registry, engine=SubprocessEngine())
    return registry


KINDS = [
    ("job", "RuntimeError", "", "in reads", None, ("page 7 is torn", "in read_page", "cannot be read")),
    ("late", "TimeoutError", "", "in waits", None, ("did not end within 0.2 s",)),
    ("worker", "ValueError", "", "in halved", None, ("In the worker process", "3 has no half")),
    ("resource", "ConnectionError", "", "in closed_shop", None, ("shop:******@db",)),
    ("pipeline", "ValueError", "halved", "in halved", "3", ("3 has no half",)),
    ("cpu", "ValueError", "halved", "in halved", "3", ("In the worker process", "3 has no half")),
    ("apart", "ValueError", "halved", "in halved", "3", ("In the interpreter of unit", "3 has no half")),
]


async def test_an_attempt_of_any_kind_keeps_where_it_failed(tmp_path: Path) -> None:
    async with running(flows(), tmp_path) as app:
        for flow, kind, stage, where, item, told in KINDS:
            run, failures = await ended(app, flow)
            failure = failures[1]
            assert (failure.error_type, failure.stage, failure.item) == (kind, stage, item), flow
            assert failure.place.endswith(where), (flow, failure)
            assert failure.message == run.error_msg
            for text in told:
                assert text in failure.traceback, (flow, failure.traceback)


async def test_each_attempt_of_a_run_that_is_tried_again_keeps_its_own(tmp_path: Path) -> None:
    registry: Registry[Flow] = Registry()

    async def tries(run: RunContext) -> None:
        if run.attempt < 3:
            raise OSError(f"attempt {run.attempt} went wrong")

    Flow.register("tries", tries, registry=registry, retry=Retry(attempts=3, first=0.01))
    async with running(registry, tmp_path) as app:
        run = await app.trigger("tries")

        async def both() -> dict[int, ToldFailure]:
            found = failures_in(await app.app.ask(lambda plane: plane.store.reports(run.id)))
            return found if len(found) == 2 else {}

        failures = await eventually(both)
    assert run.attempt == 3
    assert {attempt: failure.message for attempt, failure in failures.items()} == {
        1: f"OSError: attempt 1 went wrong ({failures[1].place})",
        2: f"OSError: attempt 2 went wrong ({failures[2].place})",
    }


async def test_nothing_secret_is_kept_of_an_error(tmp_path: Path) -> None:
    registry: Registry[Flow] = Registry()

    async def logs_in(run: RunContext[Login]) -> None:
        raise PermissionError("x" * 495 + f" {run.params.password.get_secret_value()} is wrong")

    Flow.register("logs_in", logs_in, registry=registry, params=Login)
    orders = Source([{"number": 1, "card": "4111-1111"}])
    for name, engine in (("here", None), ("apart", SubprocessEngine())):
        given: dict[str, Any] = {} if engine is None else {"engine": engine}
        chain = orders >> Transform(priced) >> Sink(put)
        Flow.register(name, chain, registry=registry, redact=["card"], **given)
    Flow.register("cpu", orders >> CpuMap(priced, workers=1) >> Sink(put), registry=registry, redact=["card"])
    async with running(registry, tmp_path) as app:
        run, failures = await ended(app, "logs_in")
        assert "hunt" not in repr((run, failures))  # not even half of it, where the message is cut
        assert "******" in failures[1].traceback
        for flow in ("here", "apart", "cpu"):
            run, failures = await ended(app, flow)
            assert "4111-1" not in repr((run, failures)), flow
            assert "no price for card ******" in failures[1].traceback, flow
            assert failures[1].item == '{"number": 1, "card": ******}', flow
