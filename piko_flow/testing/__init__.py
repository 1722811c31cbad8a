"""Tools for testing pipelines and flows: sources and sinks with a record, faults by script, a clock that the test
moves, a check that nothing is left; flows that run by their schedules in simulated time, and what goes wrong there."""

from piko_flow.testing.cancellation import cancel_everywhere
from piko_flow.testing.faults import Fail, Outcome, Script, Stall, Turns, turns, until
from piko_flow.testing.leaks import Leaked, no_leaks
from piko_flow.testing.manual_clock import ManualClock
from piko_flow.testing.observing import RecordingObserver
from piko_flow.testing.simulated import FlowWorld, simulated
from piko_flow.testing.simulation import Simulated, Simulation, SimulationFailed, simulate
from piko_flow.testing.stages import (
    CollectingSink,
    FailingSink,
    Record,
    Recorded,
    RecordingTarget,
    arriving,
    items,
)
from piko_flow.testing.store_faults import Fault, FaultKind, FaultRates, ScriptedFaults

__all__ = [
    "arriving",
    "items",
    "CollectingSink",
    "FailingSink",
    "RecordingTarget",
    "Record",
    "Recorded",
    "RecordingObserver",
    "Script",
    "Outcome",
    "Fail",
    "Stall",
    "Turns",
    "turns",
    "until",
    "ManualClock",
    "simulated",
    "FlowWorld",
    "Fault",
    "FaultKind",
    "FaultRates",
    "ScriptedFaults",
    "simulate",
    "Simulation",
    "Simulated",
    "SimulationFailed",
    "cancel_everywhere",
    "no_leaks",
    "Leaked",
]
