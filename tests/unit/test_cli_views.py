"""How the progress of a run is shown: lines now and then, rates, bars; and what signals lead to."""

import io
import signal

import pytest
import typer
from rich.console import Console

from piko_flow.cli.running import errors_allowed
from piko_flow.cli.stopping import Stops
from piko_flow.cli.views import LineView, LiveView, Rates, SilentView, cells_of, summary, view_for
from piko_flow.dataflow.reports.facts import Progress, StageReport


def progress(seconds: float, read: int = 0, *, units: int = 1, dead: int = 0) -> Progress:
    source = StageReport("orders", "Source", "a.py:1", 0, emitted=read, blocked=seconds)
    slow = StageReport(
        "enrich", "Transform", "a.py:2", 1, received=read, emitted=read - dead, dead=dead, busy=seconds
    )
    return Progress(run="r1", seconds=seconds, stages=(source, slow), edges=(), units=units, units_done=1)


def console(*, terminal: bool = False, width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, height=30, color_system=None)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_log_gets_a_line_after_two_seconds_and_then_less_and_less_often() -> None:
    log = console()
    view = LineView(log)
    for second in range(1, 121):
        view.show(progress(float(second)))
    told = [line.partition(":")[0] for line in written(log).splitlines()]
    assert told == ["2.0 s", "4.0 s", "8.0 s", "16.0 s", "32.0 s", "1 min 02 s", "1 min 32 s"]


def test_the_summary_tells_items_units_failures_and_the_bottleneck() -> None:
    assert summary(progress(4.0, 1_500, units=3, dead=2)) == (
        "4.0 s: 1,500 items read, 1 of 3 units done, 2 failed, bottleneck: Transform enrich, busy 100% of the time"
    )


def test_the_view_suits_where_it_is_shown() -> None:
    assert type(view_for(console(), quiet=False)) is LineView
    assert type(view_for(console(terminal=True), quiet=True)) is SilentView
    live = view_for(console(terminal=True), quiet=False)
    assert type(live) is LiveView
    live.close()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_live_table_keeps_its_numbers_at_any_width(width: int) -> None:
    terminal = console(terminal=True, width=width)
    view = LiveView(terminal)
    view.show(progress(2.0, 1_000_000))
    view.say("draining")
    view.show(progress(4.0, 3_000_000))
    view.close()
    shown = written(terminal)
    for words in ("Source orders", "Transform enrich", "3,000,000", "1,000,000", "draining", "█" * 10):
        assert words in shown


def test_a_rate_is_taken_over_the_last_seconds() -> None:
    rates = Rates()
    assert rates.of("orders") == 0.0
    for second in range(10):
        rates.note(progress(float(second), 1_000 if second > 4 else 0))
    assert rates.of("orders") == 0.0
    rates.note(progress(10.0, 1_300))
    assert rates.of("orders") == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("parts", "cells"),
    [
        ((1.0, 0.0, 0.0), [20, 0, 0]),
        ((0.33, 0.33, 0.34), [7, 6, 7]),
        ((0.0, 0.0, 0.0), [0, 0, 0]),
        ((0.7, 0.7, 0.7), [14, 6, 0]),
    ],
)
def test_the_cells_of_a_bar_add_up(parts: tuple[float, ...], cells: list[int]) -> None:
    assert cells_of(parts, 20) == cells


class Stopped:
    """A run that writes down what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def drain(self) -> None:
        self.asked.append("drain")

    def cancel(self) -> None:
        self.asked.append("cancel")


def test_the_first_signal_drains_the_second_cancels_and_the_first_gives_the_exit_code() -> None:
    run, said = Stopped(), list[str]()
    stops = Stops(run, say=said.append)
    assert stops.exit_code == 0
    for got in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
        stops.stop(got)
    assert run.asked == ["drain", "cancel"]
    assert said == ["SIGTERM: draining; send it again to cancel", "SIGINT: cancelling"]
    assert stops.exit_code == 143


@pytest.mark.parametrize(("given", "allowed"), [("5", 5), ("0", 0), ("2.5%", 0.025), (" 100% ", 1.0)])
def test_allowed_errors_are_a_number_or_a_share(given: str, allowed: int | float) -> None:
    found = errors_allowed(given)
    assert found == pytest.approx(allowed)
    assert type(found) is type(allowed)


@pytest.mark.parametrize("given", ["many", "-1", "101%", "nan%", "0.5"])
def test_other_numbers_of_errors_are_refused(given: str) -> None:
    with pytest.raises(typer.BadParameter):
        errors_allowed(given)
