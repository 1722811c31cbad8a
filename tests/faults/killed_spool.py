"""Work that writes numbers through a spool, to be killed at any moment and begun again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from piko_flow import Retry
from piko_flow.connectors.spool import LiveSpool, Spool, Spooled, SpooledLetter
from piko_flow.connectors.spool_file import Origin
from piko_flow.errors import ItemRejected

NUMBERS, WRITERS, POISON = 600, 3, 97
"""Of one piece of work; tasks that write side by side; every so many a number that the sink refuses for good."""


def is_poison(number: int) -> bool:
    """Whether the sink refuses it."""
    return number % POISON == 13


def append(file: Path, lines: Sequence[str]) -> None:
    """Add the lines to a file by one call, which a kill may tear where a page of the file ends; see `mend`."""
    with file.open("ab", buffering=0) as out:
        out.write("".join(f"{line}\n" for line in lines).encode())


def mend(file: Path, together: int = 1) -> None:
    """Cut off what a kill has left of a torn call, in a file whose lines come so many together."""
    if file.exists():
        lines = file.read_bytes().splitlines(keepends=True)
        whole = sum(line.endswith(b"\n") for line in lines) // together * together
        if whole < len(lines):
            file.write_bytes(b"".join(lines[:whole]))


def lines_in(file: Path) -> int:
    """How many lines were added."""
    return file.read_bytes().count(b"\n") if file.exists() else 0


class Written:
    """A sink that is at times away, names what it refuses, and lists the rest in a file."""

    def __init__(self, folder: Path) -> None:
        self._file, self._calls = folder / "written", 0

    async def write(self, items: Sequence[Spooled]) -> None:
        """List each item with its key."""
        self._calls += 1
        await asyncio.sleep(0)
        if self._calls % 5 == 4:
            raise OSError("the sink is away")
        for index, item in enumerate(items):
            if is_poison(item.payload["number"]):
                raise ItemRejected(index, "poison")
        append(self._file, [f"{item.payload['number']} {item.key} {item.run}" for item in items])


class Letters:
    """Lists dead letters in a file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "letters"

    async def take(self, letters: Sequence[SpooledLetter], /) -> None:
        """List each with its key."""
        append(self._file, [f"{one.payload['number']} {one.key} {one.run}" for one in letters])


async def write_numbers(folder: str, first: int, many: int = NUMBERS) -> None:
    """Let each of the writers accept its share of so many numbers that it has not noted yet, then write all."""
    place = Path(folder)
    for file in (place / "written", place / "letters"):
        mend(file)
    spool: Spool[Any] = Spool(
        Written(place),
        name="numbers",
        folder=place / "spool",
        whole=True,
        items=200,
        batch=40,
        retry=Retry(attempts=3, first=0.001, limit=0.01),
        flush=3600,
    )
    async with spool.opened(dead_letters=Letters(place)) as live, asyncio.TaskGroup() as writers:
        for writer in range(WRITERS):
            numbers = range(first + writer, first + many, WRITERS)
            writers.create_task(accept(live, place / f"accepted-{first}-{writer}", numbers))


async def accept(live: LiveSpool, noted: Path, numbers: range) -> None:
    """Accept numbers, of two lists the first with keys of their own; note each list when that has returned."""
    mend(noted, 10)
    done = lines_in(noted)
    for start in range(done, len(numbers), 10):
        some = numbers[start : start + 10]
        keys = [f"n{number}" for number in some] if start % 20 == 0 else None
        origin = Origin("numbers", str(numbers.start), "sink")
        await live.accept([{"number": number} for number in some], origin=origin, keys=keys)
        append(noted, [str(number) for number in some])
