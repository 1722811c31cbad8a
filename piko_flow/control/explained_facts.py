"""The facts from which it is told why something does not run, and the lines in which it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from piko_flow.control.plane_replicas import LeaderView
from piko_flow.control.reasons import MEANINGS
from piko_flow.control.reign import Reign
from piko_flow.control.schedule_rows import Schedule
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.run_state import Reason
from piko_flow.planning.window import Window
from piko_flow.store.records import RunRecord


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is so, as a sentence without its full stop, and what to do about it.

    `blocks` says whether it keeps something from running. `reason` is None where all is well.
    """

    reason: Reason | None
    text: str
    advice: str = ""
    blocks: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of a flow and its surroundings at the store's time `now`.

    `reign` is what a leader would know: schedules, live runs, backfills, limits, parameters. `refusals` tells of
    the flows whose row cannot be used, why. `states` has those of the flow and of the one it comes after. `zone`
    is where times are told.
    """

    now: datetime
    flow: str
    registered: bool
    unknown: str
    reign: Reign
    refusals: Mapping[str, str]
    leader: LeaderView
    states: Mapping[str, FlowState] = field(default_factory=dict)
    last: RunRecord | None = None
    zone: str = "UTC"

    @property
    def schedule(self) -> Schedule | None:
        """The flow's schedule; None without a row that can be used."""
        return self.reign.schedules.get(self.flow)

    @property
    def state(self) -> FlowState:
        """What is known of the flow's windows."""
        return self.states.get(self.flow) or FlowState(self.flow)

    def time(self, instant: datetime) -> str:
        """The instant in the flow's zone, with its offset."""
        return time_text(instant, self.zone)

    def span(self, window: Window) -> str:
        """The window in the flow's zone."""
        return f"{self.time(window.start)} to {self.time(window.end)}"


def time_text(instant: datetime, zone: str) -> str:
    """The instant in the zone with its offset, as short as it can be said exactly to the second."""
    local = instant.astimezone(ZoneInfo(zone))
    seconds = "seconds" if local.second or local.microsecond else "minutes"
    return local.replace(microsecond=0).isoformat(" ", timespec=seconds)


def line(reason: Reason, text: str = "", *, advice: str | None = None, blocks: bool = True) -> Line:
    """A line with the code's own meaning and advice where none are given."""
    meaning = MEANINGS[reason]
    return Line(reason, text or meaning.text, meaning.advice if advice is None else advice, blocks)
