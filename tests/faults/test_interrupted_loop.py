"""An interrupt ends a run as KeyboardInterrupt wherever it falls in a loop of fused stages; another error is a stage's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from piko_flow import Batch, Filter, FlatMap, Fold, On, Route, Sink, Source, StageFailed, Transform, run_sync
from piko_flow.dataflow.running.operators.loop import FILE
from tests.runs import python

ITEMS = 300
ARMED = 200  # items that are read before a line counts: then the loop that runs is the one for later items

CHAINS: dict[str, Any] = {
    "one for one": lambda: Transform(lambda item: item) >> Transform(int) >> Sink(lambda item: None),
    "filtered": lambda: Filter(lambda item: item % 3) >> Filter(bool) >> Sink(lambda item: None),
    "skipping": lambda: (
        Transform(lambda item: item, on_error="skip")
        >> FlatMap(lambda item: [item], on_error="skip")
        >> Sink(lambda item: None)
    ),
    "flat map": lambda: FlatMap(lambda item: [item, item]) >> Filter(bool) >> Sink(lambda item: None),
    "fold": lambda: Fold(lambda total, item: total + item, start=int) >> Sink(print),
    "fold by key": lambda: (
        Fold(lambda total, item: total + item, start=int, key=lambda item: item % 3) >> Sink(print)
    ),
    "batch": lambda: Batch(7) >> Sink(lambda item: None),
    "route": lambda: Route(
        On(lambda item: item % 2, Sink(lambda item: None, name="odd")),
        On(object, Sink(lambda item: None, name="even")),
        name="split",
    ),
}

Line = Callable[[int], None]


def reading(after: int, armed: list[bool]) -> Iterator[int]:
    for item in range(ITEMS):
        if item == after:
            armed.append(True)
        yield item


@contextmanager
def at_each_line(line: Line) -> Iterator[None]:
    """Call the function before each line of a fused loop, with the line's number; what it raises is raised there."""

    def local(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            line(frame.f_lineno)
        return local

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        return local if frame.f_code.co_filename == FILE else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)


def lines_of(chain: str, after: int) -> list[int]:
    """The lines that the loops of a chain go through once so many items were read."""
    armed: list[bool] = []
    seen: set[int] = set()
    with at_each_line(lambda number: seen.add(number) if armed else None):
        run_sync(Source(lambda: reading(after, armed)) >> CHAINS[chain]())
    return sorted(seen)


def run_raising(chain: str, after: int, target: int, error: BaseException) -> BaseException | None:
    """Run the chain with this error raised at this line, and give the error of the run.

    On a busy machine the loop is left and entered at other items, so a line may not be reached; then run it again.
    """
    reached: list[bool] = []
    while not reached:
        armed: list[bool] = []

        def line(number: int, armed: list[bool] = armed) -> None:
            if armed and number == target:
                reached.append(True)
                raise error

        try:
            with at_each_line(line):
                run_sync(Source(lambda armed=armed: reading(after, armed)) >> CHAINS[chain]())
        except BaseException as raised:
            return raised
    return None


@pytest.mark.parametrize("after", [0, ARMED])
@pytest.mark.parametrize("chain", CHAINS)
def test_an_interrupt_at_any_line_ends_the_run_as_what_it_is(chain: str, after: int) -> None:
    lines = lines_of(chain, after)
    assert lines
    for number in lines:
        raised = run_raising(chain, after, number, KeyboardInterrupt())
        assert isinstance(raised, KeyboardInterrupt)


@pytest.mark.parametrize("after", [0, ARMED])
@pytest.mark.parametrize("chain", [chain for chain in CHAINS if chain != "skipping"])
def test_an_error_at_any_line_is_the_cause_of_a_stage_s_failure(chain: str, after: int) -> None:
    for number in lines_of(chain, after):
        error = MemoryError("no room")
        raised = run_raising(chain, after, number, error)
        assert isinstance(raised, StageFailed)
        assert raised.__cause__ is error


INTERRUPTING = """
import asyncio, random, signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from piko_flow import Filter, FlatMap, Sink, Source, Transform, run

def numbers() -> Iterator[int]:
    # Again after a while: Python drops an interrupt that falls into a callback of a weak reference.
    signal.setitimer(signal.ITIMER_REAL, draw.uniform(0.001, 0.008), 5.0)
    number = 0
    while True:
        yield number
        number += 1

chain = (
    Transform(lambda item: item + 1) >> Filter(lambda item: item % 3) >> FlatMap(lambda item: [item])
    >> Sink(lambda item: None)
)
pipeline = Source(numbers) >> chain
draw, ended = random.Random(8), Counter()

signal.signal(signal.SIGALRM, signal.default_int_handler)  # what the interrupt key does, at a moment of our choice
for _ in range(300):
    loop = asyncio.new_event_loop()
    task = loop.create_task(run(pipeline))
    try:
        loop.run_until_complete(task)
    except BaseException as error:
        signal.setitimer(signal.ITIMER_REAL, 0)
        ended[type(error).__name__] += 1
    while not task.done():  # the interrupt fell between two steps of the loop's tasks
        task.cancel()
        with suppress(KeyboardInterrupt):  # the run's, at its end
            loop.run_until_complete(asyncio.wait([task], timeout=1))
    task.cancelled() or task.exception()
    loop.close()
print(dict(ended))
"""


def test_the_interrupt_key_ends_a_run_wherever_it_falls() -> None:
    child = python("-c", INTERRUPTING)
    assert child.stdout.strip() == "{'KeyboardInterrupt': 300}", child.stderr
