"""The facts from which it is told why something does not run, and the lines in which it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from piko_flow.control.flows.code_elsewhere import elsewhere
from piko_flow.control.flows.reasons import MEANINGS
from piko_flow.control.flows.schedule_rows import Schedule
from piko_flow.control.flows.told_times import Times
from piko_flow.control.leader.reign import Reign
from piko_flow.control.operations.plane_replicas import LeaderView
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.run_state import Reason
from piko_flow.planning.window import Window
from piko_flow.store.records import RunRecord


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is so, as a sentence without its full stop, and what to do about it.

    `blocks` says whether it keeps something from running. `reason` is None where all is well, or only worth a look.
    """

    reason: Reason | None
    text: str
    advice: str = ""
    blocks: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of a flow and its surroundings at the store's time `now`.

    `reign` is what a leader would know: schedules, live runs, backfills, limits, parameters. `refusals` tells of
    the flows whose row cannot be used, why; `ignored` of names in the params in force that the flow's model does not
    have. `declared` says that its code has a schedule. `states` has those of the flow and of the one it comes after.
    `upstream` is that one's name. `times` tells instants. `ran` is a run that began, of a flow whose code is not here.
    `coded` says whether any flow's code is here.
    """

    now: datetime
    flow: str
    registered: bool
    unknown: str
    reign: Reign
    refusals: Mapping[str, str]
    leader: LeaderView
    times: Times
    states: Mapping[str, FlowState] = field(default_factory=dict)
    last: RunRecord | None = None
    ran: RunRecord | None = None
    ignored: str = ""
    declared: bool = False
    upstream: str = ""
    coded: bool = True

    @property
    def schedule(self) -> Schedule | None:
        """The flow's schedule; None without a row that can be used."""
        return self.reign.schedules.get(self.flow)

    @property
    def state(self) -> FlowState:
        """What is known of the flow's windows."""
        return self.states.get(self.flow) or FlowState(self.flow)

    def time(self, instant: datetime) -> str:
        """The instant as `times` tells it."""
        return self.times.at(instant)

    def span(self, window: Window) -> str:
        """The window in words."""
        return f"{self.time(window.start)} to {self.time(window.end)}"


def line(reason: Reason, text: str = "", *, advice: str | None = None, blocks: bool = True) -> Line:
    """A line with the code's own meaning and advice where none are given."""
    meaning = MEANINGS[reason]
    return Line(reason, text or meaning.text, meaning.advice if advice is None else advice, blocks)


def code_missing(facts: Facts) -> Line:
    """That the flow's code is not in this process, where it may be, and what to do."""
    told, advice = elsewhere(facts.ran, facts.leader.may_be_at_work)
    if not facts.coded:
        told = f"{facts.flow!r} is not registered here, for no package was given: {told}"
    elif facts.unknown.endswith("?"):
        told = f"{facts.unknown} {told[0].upper()}{told[1:]}"
    else:
        told = f"{facts.unknown}: {told}"
    return line(Reason.UNREGISTERED, told, advice=advice)
