"""Parameters from a row, checked by a model, changed while everything runs.

    piko-flow params set sweep_cfg concurrency=200 timeout_s=3

A run has the parameters that were in force when it was queued. A row whose `effective_from` lies in the future
waits for that moment; a row that does not fit the model is refused, and the last good one stays.
"""

from functools import partial

from pydantic import BaseModel, Field

from piko_flow import Filter, Flow, Fold, Parse, Pipeline, RunContext, Sink, Transform
from piko_flow.connectors.files import CsvSource
from piko_flow.demo.gazetteer import gazetteer, locate
from piko_flow.demo.model import STORMS, LocatedReport, Report


class SweepConfig(BaseModel):
    """How the sweep asks: how many questions at once, and how long one may take, in seconds."""

    concurrency: int = Field(default=50, ge=1, le=500)
    timeout_s: float = Field(default=10, gt=0)


def is_major(report: Report) -> bool:
    """Tell whether the storm is a major hurricane."""
    return report.category is not None and report.category >= 4


def nearest(so_far: float, report: LocatedReport) -> float:
    """Keep the smallest distance, in kilometres."""
    return min(so_far, report.distance_km)


def tell(distance: float, *, config: SweepConfig) -> None:
    """Say how near the nearest came, and how it was asked."""
    print(f"concurrency {config.concurrency}, timeout {config.timeout_s:g} s: nearest at {distance:.1f} km")


@Flow.register("sweep_cfg", params=SweepConfig, tags=["example"])
def sweep_cfg(run: RunContext[SweepConfig]) -> Pipeline:
    """Ask for the place nearest to each report of a major hurricane."""
    config = run.params
    return (
        CsvSource(STORMS)
        >> Parse(Report)
        >> Filter(is_major)
        >> Transform(
            locate, concurrency=config.concurrency, timeout=config.timeout_s, uses={"gazetteer": gazetteer}
        )
        >> Fold(nearest, start=partial(float, "inf"))
        >> Sink(partial(tell, config=config))
    )
