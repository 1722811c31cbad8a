"""Running a pipeline for a command: progress while it runs, signals, the report."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from piko_flow.cli.mistakes import CommandMistake
from piko_flow.cli.stopping import Interrupted, Signals, Stops
from piko_flow.dataflow.reports.facts import Progress
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.running.blocking import run_and_leave
from piko_flow.dataflow.running.run import ActiveRun, start
from piko_flow.dataflow.running.run_options import RunValues
from piko_flow.dataflow.stages.stage import Pipeline
from piko_flow.errors import describe_error


class View(Protocol):
    """Shows how a run goes on; `every` is how many seconds pass between two looks."""

    every: float

    def show(self, progress: Progress) -> None: ...
    def say(self, message: str) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Followed:
    """A run that has ended, and the exit code it stands for: 0, or what the signal that stopped it asks for."""

    report: RunReport
    exit_code: int


def follow(pipeline: Pipeline, view: View, options: RunValues, signals: Signals) -> Followed:
    """Run the pipeline to its end on a loop of its own, with signals draining and cancelling it.

    Raises what the run raises; for what is no Exception, a CommandMistake. The view is closed when this returns
    or raises.
    """
    with signals.held(), _closed(view):
        try:
            return run_and_leave(_follow(pipeline, view, options, signals))
        except (Exception, Interrupted):
            raise
        except BaseException as error:  # a stage's: signals raise nothing else while the block is open
            raise CommandMistake(f"a stage raised {describe_error(error)}, which is no Exception") from error


async def _follow(pipeline: Pipeline, view: View, options: RunValues, signals: Signals) -> Followed:
    loop = asyncio.get_running_loop()
    async with start(pipeline, **options) as active:
        stops = Stops(active, say=view.say)
        signals.go_to(stops, loop)
        looking = loop.create_task(_look(active, view), name="progress")
        try:
            report = await active.wait()
        finally:
            looking.cancel()
            await asyncio.wait([looking])
    view.show(report)
    return Followed(report, 0 if report.outcome == "succeeded" else stops.exit_code)


async def _look(active: ActiveRun, view: View) -> None:
    while True:
        view.show(active.progress())
        await asyncio.sleep(view.every)


@contextmanager
def _closed(view: View) -> Iterator[None]:
    try:
        yield
    finally:
        view.close()
