"""Functions and classes of `__main__`, as scripts, `-c` commands and notebooks define them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs import python

# Each case leaves a function `work`, its `items` and a `check` of the results in its module.
CASES = {
    "closure and global": """
import math
FACTOR = 5

def scale(item):
    return math.floor(item * FACTOR)

def make(more):
    def work(item):
        return scale(item) + more
    return work

work, items = make(3), [1, 2]

def check(results):
    assert results == [8, 13]
""",
    "instance": """
from pydantic import BaseModel

class Order(BaseModel):
    number: int
    tags: list[str] = []

    def twice(self):
        return self.number * 2

def work(item):
    assert isinstance(item, Order)
    return Order.model_validate({"number": item.twice(), "tags": ["new"]})

items = [Order(number=1), Order(number=2)]

def check(results):
    assert [type(result) for result in results] == [Order, Order]
    assert [result.number for result in results] == [2, 4]
    assert results[0] == Order(number=2, tags=["new"])
    assert Order.twice is twice
""",
    "dataclass, enum and error": """
import enum
from dataclasses import dataclass

class Colour(enum.Enum):
    RED = 1
    BLUE = 2

class Refused(Exception):
    pass

@dataclass(frozen=True, slots=True)
class Point:
    colour: Colour

def work(item):
    try:
        raise Refused(item.colour)
    except Refused as error:
        return item, item.colour, error

items = [Point(Colour.RED), Point(Colour.BLUE)]

def check(results):
    assert [result[0] for result in results] == items
    assert all(result[1] is item.colour for result, item in zip(results, items))
    assert [(type(result[2]), result[2].args) for result in results] == [
        (Refused, (Colour.RED,)), (Refused, (Colour.BLUE,))
    ]
""",
}
BEFORE = "twice = None\n"
AFTER = """
twice = getattr(globals().get("Order"), "twice", None)

async def use_pool():
    from piko_flow.dataflow.workers.shipping import pack
    from piko_flow.dataflow.workers.pool import WorkerPool

    async with WorkerPool(2) as pool:
        shipment = pack(work, stage="work", where="here.py:1")
        for _ in range(3):
            result = await pool.call(shipment, items)
            assert result.errors == {}, result.errors
            check(result.results)
    assert pool.replaced == 0
    print("right")

"""
RUN = "import asyncio\nasyncio.run(use_pool())\n"
NOTEBOOK = """
import asyncio, sys
cells = sys.stdin.read().split("# cell")
space = sys.modules["__main__"].__dict__

async def kernel():
    for number, cell in enumerate(cells):
        exec(compile(cell, f"<cell {number}>", "exec"), space)
    await space["use_pool"]()

asyncio.run(kernel())
"""


def run(*command: str, stdin: str | None = None, folder: Path) -> None:
    done = python(*command, stdin=stdin, folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "right\n", "")


@pytest.mark.parametrize("case", CASES)
def test_a_script(case: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(BEFORE + CASES[case] + AFTER + RUN)
    run(str(script), folder=tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_a_command(case: str, tmp_path: Path) -> None:
    run("-c", BEFORE + CASES[case] + AFTER + RUN, folder=tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_a_notebook(case: str, tmp_path: Path) -> None:
    run("-c", NOTEBOOK, stdin=BEFORE + CASES[case] + "# cell" + AFTER, folder=tmp_path)


def test_a_class_that_a_notebook_defines_again(tmp_path: Path) -> None:
    second = (
        CASES["instance"]
        .replace("self.number * 2", "self.number * 10")
        .replace("[2, 4]", "[10, 20]")
        .replace("=2, t", "=10, t")
    )
    cells = [BEFORE + CASES["instance"], AFTER.replace("use_pool", "first_pool"), second, AFTER]
    run("-c", NOTEBOOK, stdin="# cell".join(cells), folder=tmp_path)


def test_modules_beside_the_script_also_when_named_as_ours(tmp_path: Path) -> None:
    (tmp_path / "transport.py").write_text("def twice(number):\n    return number * 2\n")
    (tmp_path / "beside.py").write_text(
        "import transport\n"
        + CASES["instance"].replace("item.twice()", "transport.twice(item.number)")
        + "\ntwice = Order.twice\n"
    )
    script = tmp_path / "script.py"
    script.write_text("from beside import Order, check, items, work\n" + AFTER + RUN)
    run(str(script), folder=tmp_path)


def test_the_main_module_of_the_user_is_not_imported_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "print('once', flush=True)\n" + BEFORE + CASES["instance"] + AFTER.replace("right", "") + RUN
    )
    assert python(str(script), folder=tmp_path).stdout.split() == ["once"]
