"""What is shown of a run while it runs."""

from dataclasses import replace

from piko_flow.control.runs.run_details import rates
from piko_flow.dataflow.reports.facts import Progress, StageReport

PARSE = StageReport(name="parse", kind="Transform", where="a.py:1", operator=0)
STORE = StageReport(name="store", kind="Sink", where="a.py:2", operator=1)


def progress(seconds: float, emitted: int, received: int) -> Progress:
    stages = (replace(PARSE, emitted=emitted), replace(STORE, received=received))
    return Progress(run="1", seconds=seconds, stages=stages, edges=())


def test_rates_are_those_since_the_last_look() -> None:
    first, second = progress(2.0, 100, 40), progress(4.0, 500, 60)
    assert rates(None, first) == {"parse": 50.0, "store": 20.0}
    assert rates(first, second) == {"parse": 200.0, "store": 10.0}


def test_a_count_that_goes_back_and_a_clock_that_stands_give_no_rate() -> None:
    first = progress(2.0, 100, 40)
    assert rates(first, progress(3.0, 10, 40)) == {"parse": 0.0, "store": 0.0}
    assert rates(first, first) == {}
