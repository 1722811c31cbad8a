"""A flow that raises KeyboardInterrupt has failed, and the application goes on: no key is pressed on the thread of runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from piko_flow import Flow, Registry, RunContext, Sink, Source, Transform
from piko_flow.planning.run_state import RunStatus
from tests.system.running_app import running


def put(item: object) -> None:
    """A sink."""


def interrupt(item: int) -> int:
    raise KeyboardInterrupt


async def interrupt_later(item: int) -> int:
    await asyncio.sleep(0)
    raise KeyboardInterrupt


async def interrupts(run: RunContext) -> None:
    raise KeyboardInterrupt


async def waits_for_an_interrupt(run: RunContext) -> None:
    await asyncio.create_task(interrupt_later(1))


async def leaves_an_interrupt(run: RunContext) -> None:
    task = asyncio.create_task(interrupt_later(1))
    await asyncio.wait([task])
    task.exception()


async def works(run: RunContext) -> None:
    """All is well."""


def flows() -> Registry[Flow]:
    registry: Registry[Flow] = Registry()
    for job in (interrupts, waits_for_an_interrupt, leaves_an_interrupt, works):
        Flow.register(job.__name__, job, registry=registry)
    for stage in (interrupt, interrupt_later):
        chain = Source([1]) >> Transform(stage) >> Sink(put)
        Flow.register(stage.__name__, chain, registry=registry)
    return registry


async def test_a_flow_that_raises_it_fails_and_others_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(flows(), tmp_path) as app:
        for flow in ("interrupts", "waits_for_an_interrupt", "interrupt", "interrupt_later"):
            run = await app.trigger(flow)
            assert run.status is RunStatus.FAILED, flow
            assert "raised KeyboardInterrupt; raise an error of your own" in run.error_msg, flow
            assert (await app.trigger("works")).status is RunStatus.SUCCESS, flow
        assert (await app.trigger("leaves_an_interrupt")).status is RunStatus.SUCCESS
        assert (await app.trigger("works")).status is RunStatus.SUCCESS
        assert app.app.readiness()[1] == []
    assert "a task on the thread 'piko-flow runs' raised KeyboardInterrupt" in caplog.text
