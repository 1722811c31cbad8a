"""What people and programs ask of the control half: the one place behind commands and endpoints."""

from __future__ import annotations

from piko_flow.control.operations.plane_audits import PlaneAudits
from piko_flow.control.operations.plane_backfills import PlaneBackfills
from piko_flow.control.operations.plane_explains import PlaneExplains
from piko_flow.control.operations.plane_flows import PlaneFlows
from piko_flow.control.operations.plane_params import PlaneParams
from piko_flow.control.operations.plane_part import Asks
from piko_flow.control.operations.plane_replays import PlaneReplays
from piko_flow.control.operations.plane_runs import PlaneRuns
from piko_flow.control.operations.plane_triggers import PlaneTriggers, TriggerPlan

__all__ = ["Asks", "ControlPlane", "TriggerPlan"]


class ControlPlane(
    PlaneExplains,
    PlaneFlows,
    PlaneBackfills,
    PlaneTriggers,
    PlaneRuns,
    PlaneReplays,
    PlaneParams,
    PlaneAudits,
):
    """Operations over a store; the replica of this process, where there is one, is told of what it should see.

    Each change is kept in the audit as made by whom the plane is `acting` for, by default the user of this process;
    `by` names another one. What does not change anything is not kept. A method that takes what was `expected`
    raises RequestConflicts where what it is to change has become another one since it was seen.

    Every method raises RequestRefused with one message where a rule is broken, and StoreUnavailable. It belongs to
    the loop on which the store was opened.
    """
