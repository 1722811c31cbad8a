"""Which countries do the strongest hurricanes come nearest to? Many questions at once, one sum.

Fan-out: `concurrency=32` questions to a lookup service are under way at a time. Fan-in: a keyed fold adds up the
answers. Neither needs a task or a lock of its own.

    piko-flow run pipelines.fan_out_fan_in:pipeline
"""

from pathlib import Path

from piko_flow import Filter, Flow, Fold, Parse, Pipeline, Sink, Transform
from piko_flow.connectors.files import CsvSink, CsvSource
from piko_flow.demo.gazetteer import gazetteer, locate
from piko_flow.demo.model import STORMS, LocatedReport, Report
from pipelines.output import output_folder


def is_strongest(report: Report) -> bool:
    """Tell whether the storm is a hurricane of category 5."""
    return report.category == 5


def country_of(report: LocatedReport) -> str:
    """Give the country that the storm is nearest to."""
    return report.country


def count(so_far: int, report: LocatedReport) -> int:
    """Count one report more."""
    return so_far + 1


def as_row(pair: tuple[str, int]) -> dict[str, object]:
    """Turn a pair of the fold into a line of the result."""
    return {"country": pair[0], "reports": pair[1]}


def fan_out_fan_in(output: Path) -> Pipeline:
    """Give the pipeline that writes fan_out_fan_in.csv into a folder."""
    return (
        CsvSource(STORMS)
        >> Parse(Report)
        >> Filter(is_strongest)
        >> Transform(locate, concurrency=32, ordered=False, uses={"gazetteer": gazetteer})
        >> Fold(count, start=int, key=country_of, max_keys=300)
        >> Transform(as_row)
        >> Sink(CsvSink(output / "fan_out_fan_in.csv", columns=["country", "reports"]), batch=100)
    )


pipeline = fan_out_fan_in(output_folder())
Flow.register("fanout_fanin", pipeline, tags=["example"])
