"""The name of the stage that works, for the log lines of its code."""

from __future__ import annotations

import asyncio

from piko_flow.dataflow.reports.observer import SilentObserver
from piko_flow.telemetry.logged_run import logged_stage


class StageContext(SilentObserver):
    """Sets the stage in the context of its operator's task; of stages in one loop the first."""

    def stage_started(self, stage: str) -> None:
        """Called in the operator's own task, whose context ends with it."""
        if not logged_stage.get() and asyncio.current_task() is not None:  # else it works in another process
            logged_stage.set(stage)
