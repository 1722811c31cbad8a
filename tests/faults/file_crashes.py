"""A script: dies at every step of writing and of committing a file, and looks at what is left each time."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import shutil
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from piko_flow.connectors.files import CsvSink, CsvSource, FileTarget
from piko_flow.dataflow.stages.sink import Part, Receipt
from tests.unit.files_by_hand import hidden

STEPS = ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir", "fcntl.flock")
ITEMS = [[{"n": unit * 100 + number} for number in range(100)] for unit in range(3)]
KILLED = 9
DAY, HOUR = datetime(2026, 3, 2, tzinfo=UTC), timedelta(hours=1)


def dies_at(step: int, work: Callable[[], Coroutine[Any, Any, Any]]) -> bool:
    """Do the work in a child that ends without a word before its step number `step`; False if it had fewer."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in STEPS and (event != "open" or ".part" in str(arguments[0])):
            seen += 1
            if seen == step:
                os._exit(KILLED)

    sys.addaudithook(hook)
    try:
        asyncio.run(work())
    except BaseException as error:
        print(f"the child failed by itself: {error!r}")
        os._exit(1)
    os._exit(0)


async def prepare(target: FileTarget[Any], units: int, first: int = 0, last: int = 24) -> list[Receipt]:
    """Prepare every unit of a run over these hours."""
    receipts = []
    begin, end = DAY + first * HOUR, DAY + last * HOUR
    for number in range(units):
        own = copy.copy(target)
        await own.open(
            Part("run", "unit", number=number, units=units, flow="hourly", window_start=begin, window_end=end)
        )
        await own.write(ITEMS[number])
        receipt = await own.prepare()
        receipts.append(Receipt(receipt.part, receipt.items, json.loads(json.dumps(receipt.data))))
    return receipts


def rows(folder: Path) -> list[str]:
    """What a reader finds in the folder at this moment."""
    found: list[str] = []
    source = CsvSource(folder / "out*.csv*")
    for split in source.resolve_splits() or []:
        for chunk in source.items.read_chunks(split, reject=refuse):
            found += [row["n"] for row in chunk]
    return found


def refuse(payload: object, error: Exception) -> None:
    raise error


def prepare_folder(folder: Path, name: str) -> CsvSink:
    """A folder with what earlier runs wrote, a file or one for each of three hours, and the sink that is to replace it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    sink = CsvSink(folder / name)
    by_window = "{start}" in name
    old = sink if by_window else CsvSink(folder / name.format(unit="00000"))
    for hour in range(3 if by_window else 1):
        window = (hour, hour + 1) if by_window else (0, 24)
        asyncio.run(old.commit(asyncio.run(prepare(old, 1, *window))))
    return sink


def files(folder: Path) -> dict[str, bytes]:
    """What is visible in the folder."""
    return {path.name: path.read_bytes() for path in folder.glob("out*")}


def finish(target: CsvSink, receipts: list[Receipt], step: int) -> None:
    """Commit, for the first time or again, and find all rows and nothing else."""
    folder = target.path.parent
    asyncio.run(target.commit(receipts))
    new = [str(item["n"]) for items in ITEMS[: len(receipts)] for item in items]
    assert rows(folder) == new, f"step {step}: {len(rows(folder))} rows instead of {len(new)}"
    assert not hidden(folder), f"step {step} left {hidden(folder)}"


def die_writing(folder: Path, name: str, units: int) -> int:
    """Die at each step of writing; gives the number of steps."""
    for step in count(1):
        target = prepare_folder(folder, name)
        before = rows(folder)
        died = dies_at(step, partial(prepare, target, units))
        assert rows(folder) == before, f"step {step} of writing was seen"
        asyncio.run(target.sweep(()))
        assert not hidden(folder), f"step {step} left {hidden(folder)}"
        finish(target, asyncio.run(prepare(target, units)), step)
        if not died:
            return step - 1
    raise AssertionError


def die_committing(folder: Path, name: str, units: int) -> int:
    """Die at each step of committing; gives the number of steps."""
    for step in count(1):
        target = prepare_folder(folder, name)
        before, old = rows(folder), files(folder)
        receipts = asyncio.run(prepare(target, units))
        died = dies_at(step, partial(target.commit, receipts))
        after, left = rows(folder), files(folder)
        finish(target, receipts, step)
        if "{start}" in name:
            new = files(folder)
            assert left == old or new.items() <= left.items() <= (old | new).items(), (
                f"step {step} of committing left {sorted(left)}"
            )
        elif "{unit}" not in name:
            assert after in (before, rows(folder)), f"step {step} of committing left half a file"
        if not died:
            return step - 1
    raise AssertionError


if __name__ == "__main__":
    print(die_writing(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
    print(die_committing(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
