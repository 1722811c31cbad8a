"""One attempt of a run that replays dead letters: they enter at the stage that they failed at, in today's code."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from piko_flow.control.dead_letters.replaying import MOST, Replay
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.runs.emitting import SOURCE
from piko_flow.control.runs.pipeline_run import PipelineRun
from piko_flow.counting import counted
from piko_flow.dataflow.plan.entry import Entry
from piko_flow.dataflow.plan.plan_options import PlanOptions
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage import Pipeline
from piko_flow.errors import RequestRefused
from piko_flow.planning.window import Window
from piko_flow.store.records import DeadLetterRecord

NO_LETTERS = Source((), name="no letters") >> Sink(lambda item: None, name="nothing")


class ReplayRun(PipelineRun):
    """Runs the letters that its run has taken; they are settled in the transaction in which the run ends.

    A letter that fails again stays open, with its new error; it ends the run no more than in the run it comes from,
    however many they are. Items that fail behind that stage become letters of this run.
    """

    replay: Replay | None = None
    window: Window | None = None

    async def pipeline(self, context: RunContext[Any]) -> Pipeline:
        """The flow's pipeline over the letters' window, or the sink that they were emitted to, to be entered at the
        letters' stage. Raises RequestRefused where they do not fit any more."""
        run = self.order.record.id
        letters = await self.journal.reach(lambda store: store.letters_to_replay(run, limit=MOST))
        if not letters:
            return NO_LETTERS  # they were settled, or taken by another, between the request and this run
        payloads = await self._payloads(letters)
        self.window = context.window = await self._window(letters[0])
        if sink := letters[0].sink:
            if self.tools.writer is None:
                raise RequestRefused(
                    what=f"replay into sink {sink!r}", rule="a sink is registered", got="there is none"
                )
            target, whole = self.tools.writer.sink(sink)
            pipeline: Pipeline = Source((), name=SOURCE) >> target
            self.replay = Replay.of(pipeline, letters, payloads, whole=whole)
        else:
            pipeline = self.order.flow.pipeline_for(context)
            self.replay = Replay.of(pipeline, letters, payloads)
        self.entry = Entry(self.replay.stage, self.replay.read)
        return pipeline

    async def _window(self, letter: DeadLetterRecord) -> Window | None:
        """That of the letter, or of the run that it came of where the letter was not told it."""
        if letter.window is not None or not letter.run:
            return letter.window
        run = await self.journal.reach(lambda store: store.run(letter.run))
        return None if run is None else run.window

    async def _payloads(self, letters: Sequence[DeadLetterRecord]) -> dict[int, str]:
        """Those that lie in files. Raises RequestRefused where one is not on this computer."""
        files = self.tools.files
        if files is None:
            return {}
        return {one.id: await asyncio.to_thread(files.read, one) for one in letters if one.payload_file}

    def plan_options(self) -> PlanOptions:
        """Those of the flow, with any number of failures."""
        return replace(super().plan_options(), max_errors=None)

    def info(self) -> RunInfo:
        """What resources and sinks may know of the run: its window is the letters'."""
        if self.window is None:
            return super().info()
        return replace(super().info(), window_start=self.window.start, window_end=self.window.end)

    async def dead(self, report: RunReport) -> dict[str, Any]:
        """What became of the letters. Raises LettersUnknown where it is not known of all that failed which they are."""
        replay = self.replay
        if replay is None:
            return {"replayed": True}
        again, others, known = replay.failures(report.dead_letters, self.redaction)
        failed = sum(stage.dead for stage in report.stages if stage.name == replay.stage)
        if failed != known:
            raise LettersUnknown(failed=failed, known=known)
        dead = await self.records(others, self.window)
        told = f"{len(again)} of {counted(len(replay.letters), 'dead letter')} failed again" if again else ""
        own = report.dead - failed
        return {"replayed": True, "again": again, "dead_letters": dead, "dead_items": own, "error_msg": told}


class LettersUnknown(RequestRefused):
    """More items failed at the stage of a replay than it is known of which letters they are; all letters stay open."""

    def __init__(self, *, failed: int, known: int) -> None:
        super().__init__(
            what="replay dead letters",
            rule="of each item that fails again it is known which letter's it is",
            got=f"{failed} failed, and of {failed - known} that is not known: all letters stay open",
            advice="Replay fewer at a time; what did not fail was written, and is written again then",
        )
        self.failed, self.known = failed, known
