"""Typed streaming pipelines: described in `stages/`, planned in `plan/`, drawn in `drawing/`, run in `running/`.

The rooms import downwards only: running, then commit, then plan, drawing and workers, then stages, then graph and
reports. A description can still run, plan and draw itself: what it uses for that is bound here, above all rooms.
Start reading in `stages/stage.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from piko_flow.dataflow.stages.stage import Stage

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from piko_flow.dataflow.plan.plan import Plan
    from piko_flow.dataflow.reports.report import RunReport
    from piko_flow.dataflow.running.run_options import RunValues
    from piko_flow.dataflow.stages.stage import Pipeline, SourceLike


class _LateActions:
    """The actions of the rooms above `stages/`. Each is imported when it is first used: a description needs none of them."""

    @staticmethod
    def plan(pipeline: Pipeline, **options: Unpack[RunValues]) -> Plan:
        from piko_flow.dataflow.plan.plan import make_plan
        from piko_flow.dataflow.running.run_options import run_options

        checked = run_options(options)
        plan = make_plan(pipeline, checked.plan)
        if checked.engine is not None:
            checked.engine.check(plan)
        return plan

    @staticmethod
    async def run(pipeline: Pipeline, **options: Unpack[RunValues]) -> RunReport:
        from piko_flow.dataflow.running.run import run

        return await run(pipeline, **options)

    @staticmethod
    def run_sync(pipeline: Pipeline, **options: Unpack[RunValues]) -> RunReport:
        from piko_flow.dataflow.running.run import run_sync

        return run_sync(pipeline, **options)

    @staticmethod
    async def collect(source: SourceLike[Any]) -> list[Any]:
        from piko_flow.dataflow.running.collect import collect

        return await collect(source)

    @staticmethod
    def take(source: SourceLike[Any], count: int) -> list[Any]:
        from piko_flow.dataflow.running.collect import take

        return take(source, count)

    @staticmethod
    def preview(source: SourceLike[Any], count: int) -> Any:
        from piko_flow.dataflow.running.collect import preview

        return preview(source, count)

    @staticmethod
    def text(stage: Stage) -> str:
        from piko_flow.dataflow.drawing import draw_text

        return draw_text(stage)

    @staticmethod
    def mermaid(stage: Stage) -> str:
        from piko_flow.dataflow.drawing import draw_mermaid

        return draw_mermaid(stage)

    @staticmethod
    def svg(stage: Stage) -> str:
        from piko_flow.dataflow.drawing import draw_svg

        return draw_svg(stage)


Stage.actions = _LateActions
