"""Waiting and computing in one flow: ask a service, simulate on worker processes, write a file.

`io_plus_cpu` does so as a pipeline: while a worker process simulates, the next questions are under way.
`cpu_map_reduce` is a plain job that computes with `run.cpu.map`, whose results come in the order of the items.

    piko-flow run pipelines.io_plus_cpu:pipeline
"""

import math
from pathlib import Path

from piko_flow import CpuMap, Filter, Flow, Parse, Pipeline, RunContext, Sink, Transform
from piko_flow.connectors.files import CsvSource, JsonLinesSink
from piko_flow.demo.drift import assess
from piko_flow.demo.gazetteer import gazetteer, locate
from piko_flow.demo.model import STORMS, Report
from pipelines.output import output_folder


def is_strongest(report: Report) -> bool:
    """Tell whether the storm is a hurricane of category 5."""
    return report.category == 5


def io_plus_cpu(output: Path) -> Pipeline:
    """Give the pipeline that writes io_plus_cpu.jsonl into a folder."""
    return (
        CsvSource(STORMS)
        >> Parse(Report)
        >> Filter(is_strongest)
        >> Transform(locate, concurrency=32, uses={"gazetteer": gazetteer})
        >> CpuMap(assess, workers=2)
        >> Sink(JsonLinesSink(output / "io_plus_cpu.jsonl"), batch=100)
    )


pipeline = io_plus_cpu(output_folder())
Flow.register("io_plus_cpu", pipeline, tags=["example"])


def digits(number: int) -> int:
    """Count the digits of a factorial, which keeps a processor busy."""
    return len(str(math.factorial(number)))


@Flow.register("cpu_map_reduce", tags=["example"])
async def cpu_map_reduce(run: RunContext) -> None:
    """Count digits on several processes, and add up."""
    found = await run.cpu.map(digits, range(500, 600), concurrency=4)
    print(f"{len(found)} factorials have {sum(found):,} digits")
