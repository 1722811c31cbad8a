"""Whether dead letters can be replayed now, asked before a run is made for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from piko_flow.control.dead_letters.decoding import Decoder, refused, replay_of
from piko_flow.control.dead_letters.replaying import check_accepted, check_entry
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.operations.plane_part import PlanePart
from piko_flow.control.params.params import check_params
from piko_flow.control.params.redaction import described
from piko_flow.errors import PikoFlowError, RequestRefused
from piko_flow.planning.window import Window
from piko_flow.store.records import DeadLetterRecord, RunRecord

TOLD = 300  # characters of what the user's code raised


@dataclass(frozen=True, slots=True)
class Alike:
    """What letters have to have in common to be replayed by one run."""

    flow: str
    stage: str
    sink: str
    window: Window | None
    params_version: int | None
    params: str | None


class Gates:
    """Where letters enter, looked at once for those that are alike."""

    def __init__(self, plane: PlanePart) -> None:
        self._plane = plane
        self._runs: dict[int, RunRecord | None] = {}
        self._gates: dict[Alike, Decoder | RequestRefused | None] = {}

    async def check(self, letter: DeadLetterRecord) -> Alike:
        """Raise RequestRefused where the letter cannot be replayed by the code of today; gives which are alike it.

        The items of what was emitted to a registered sink are looked at by the run, which knows the sink.
        """
        flow = self.flow_of(letter)
        alike = await self._alike(letter)
        if alike not in self._gates:
            try:
                self._gates[alike] = await self._gate(flow, letter, alike)
            except RequestRefused as error:
                self._gates[alike] = error
        gate = self._gates[alike]
        if isinstance(gate, RequestRefused):  # found for one that is alike, and told of this one
            raise RequestRefused(what=replay_of(letter), rule=gate.rule, got=gate.got, advice=gate.advice)
        if gate is not None and not letter.payload_file:
            gate.items(letter, letter.payload)
        return alike

    def flow_of(self, letter: DeadLetterRecord) -> Flow:
        """The flow that replays the letter. Raises RequestRefused where it can be said without its pipeline that there is
        none, or nowhere in it to enter."""
        if not letter.flow:
            raise RequestRefused(
                what=replay_of(letter),
                rule="it is replayed by a run of its flow",
                got=f"it was emitted to {letter.sink!r} outside of any run",
                advice="Emit the item again, then drop the letter: piko-flow dead-letter drop",
            )
        flow, sinks = self._plane.registered(letter.flow), self._plane.sinks
        if letter.sink and sinks is not None and letter.sink not in sinks:
            got = f"{letter.sink!r} is not; there are: {', '.join(sorted(sinks)) or 'none'}"
            raise refused(letter, "the sink that it was emitted to is registered", got)
        if not letter.sink and flow.kind == "job":
            raise refused(letter, "it enters at the stage that it failed at", "the flow is a job by now")
        return flow

    async def _alike(self, letter: DeadLetterRecord) -> Alike:
        """What the letter says of its run, and where it says nothing, what that run says itself."""
        if letter.run not in self._runs:
            self._runs[letter.run] = await self._plane.store.run(letter.run) if letter.run else None
        run = self._runs[letter.run]
        return Alike(
            letter.flow,
            letter.stage,
            letter.sink,
            letter.window or (None if run is None else run.window),
            letter.params_version or (None if run is None else run.params_version),
            None if run is None else run.params,
        )

    async def _gate(self, flow: Flow, letter: DeadLetterRecord, alike: Alike) -> Decoder | None:
        if letter.sink:
            check_accepted(letter)
            return None
        params = await self._checked_params(flow, letter, alike)
        try:
            run: RunContext[Any] = RunContext.for_test(
                params, window=alike.window, flow=flow.name, scheduled_time=await self._due(alike)
            )
            pipeline = flow.pipeline_for(run)
        except PikoFlowError as error:
            raise refused(letter, "its flow gives a pipeline", str(error)) from error
        except Exception as error:  # it is the user's function that builds it
            got = f"building it raised {described(error, params, TOLD)}"
            raise refused(letter, "its flow gives a pipeline", got) from error
        return check_entry(pipeline, letter)[0]

    async def _due(self, alike: Alike) -> datetime:
        return alike.window.end if alike.window is not None else await self._plane.now()

    async def _checked_params(self, flow: Flow, letter: DeadLetterRecord, alike: Alike) -> Any:
        version = None
        if alike.params_version is not None:
            version = await self._plane.store.params_version(alike.params_version)
            if version is None:
                run = self._runs.get(letter.run)
                known = None if run is None else run.config_version
                which = "the version" if known is None else f"version {known}"
                got = f"{which} of the parameters is not in the store any more"
                raise refused(letter, "it is replayed with the parameters of its run", got)
        try:
            return check_params(
                flow,
                None if version is None else version.text,
                alike.params,
                schema_version=None if version is None else version.schema_version,
            )
        except RequestRefused as error:
            raise refused(letter, "it is replayed with the parameters of its run", str(error)) from error
