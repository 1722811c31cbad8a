"""What a description can do, as a protocol: the rooms that plan, run and draw are above this one and are not imported here.

A seam: `piko_flow.dataflow` implements it, above all rooms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from piko_flow.dataflow.plan.plan import Plan
    from piko_flow.dataflow.reports.report import RunReport
    from piko_flow.dataflow.running.run_options import RunValues
    from piko_flow.dataflow.stages.stage import Pipeline, SourceLike, Stage


class Actions(Protocol):
    """Planning, running and drawing; `piko_flow.dataflow` binds them to `Stage.actions`."""

    def plan(self, pipeline: Pipeline, **options: Unpack[RunValues]) -> Plan:
        """The plan of a pipeline. Raises PipelineError for an option that is not right."""
        ...

    async def run(self, pipeline: Pipeline, **options: Unpack[RunValues]) -> RunReport:
        """Run to the end in the current task; see `piko_flow.run`."""
        ...

    def run_sync(self, pipeline: Pipeline, **options: Unpack[RunValues]) -> RunReport:
        """Run from a script; see `piko_flow.run_sync`."""
        ...

    async def collect(self, source: SourceLike[Any]) -> list[Any]:
        """All items of a source."""
        ...

    def take(self, source: SourceLike[Any], count: int) -> list[Any]:
        """The first items of a source."""
        ...

    def preview(self, source: SourceLike[Any], count: int) -> Any:
        """The first items of a source as a table."""
        ...

    def text(self, stage: Stage) -> str:
        """The graph as text."""
        ...

    def mermaid(self, stage: Stage) -> str:
        """The graph as a Mermaid flowchart."""
        ...

    def svg(self, stage: Stage) -> str:
        """The graph as an SVG picture."""
        ...
