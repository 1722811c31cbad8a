"""A pipeline written in a script, whose functions and models live in `__main__`, runs on every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs import python

SCRIPT = """
import sys
from dataclasses import dataclass
from enum import Enum

from pydantic import BaseModel

from piko_flow import CpuMap, Parse, Sink, Source, Transform
from piko_flow.connectors.files import JsonLinesSink
from tests.contract.engines import ALL

print("imported")
FACTOR = 3


class Kind(Enum):
    ODD = 1
    EVEN = 2


class Order(BaseModel):
    id: int
    kind: Kind


@dataclass
class Priced:
    id: int
    price: int


class Unlucky(Exception):
    pass


def read(split):
    for number in range(split, split + 10):
        yield {"id": number, "kind": 2 - number % 2}


def price(order):
    assert isinstance(order, Order)
    if order.id == 13:
        raise Unlucky(f"unlucky {order.id}")
    return Priced(order.id, order.id * FACTOR * sign(order.kind) + len(sys.argv))


def sign(kind):
    return 1 if kind is Kind.EVEN else -1


if __name__ == "__main__":
    pipeline = (
        Source(read, splits=[0, 10])
        >> Parse(Order)
        >> Transform(price, on_error=sys.argv[2])
        >> CpuMap(lambda priced: Priced(priced.id, priced.price * FACTOR), workers=1)
        >> Sink(JsonLinesSink(sys.argv[3]), batch=3)
    )
    report = pipeline.run_sync(engine=ALL[sys.argv[1]]())
    letter = report.dead_letters[0]
    assert type(letter.item) is Order and letter.item.kind is Kind.ODD, letter
    print(report.outcome, letter.error)
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return str(path)


@pytest.mark.parametrize("engine", ["local", "subprocess"])
def test_what_a_script_defines_travels_by_value(engine: str, script: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = python(script, engine, "dead_letter", str(out))
    assert done.stderr == ""
    assert done.stdout == "imported\nsucceeded Unlucky: unlucky 13\n"
    lines = out.read_text().splitlines()
    assert (lines[0], lines[-1], len(lines)) == ('{"id":0,"price":12}', '{"id":19,"price":-159}', 19)


@pytest.mark.parametrize("engine", ["local", "subprocess"])
def test_an_error_class_of_a_script_comes_home(engine: str, script: str, tmp_path: Path) -> None:
    done = python(script, engine, "fail", str(tmp_path / "out.jsonl"))
    assert done.returncode == 1
    assert "\nUnlucky: unlucky 13\n" in f"\n{done.stderr}"
    assert 'raise Unlucky(f"unlucky {order.id}")' in done.stderr
    assert "StageFailed: stage 'price'" in done.stderr
