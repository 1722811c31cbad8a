"""A process that writes through a spool is killed with -9 at random moments and at each step, and begun again."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import pytest

from tests.faults.killed_spool import NUMBERS, WRITERS, is_poison
from tests.faults.killing import killing

KILLS, MOST = 60, 15
FEW, FEWEST = 60, 20
"""Numbers that are written when it dies at each step, and steps that it has at least."""
SEED = int(os.environ.get("PIKO_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big")


def lines_of(file: Path) -> list[tuple[int, str, str]]:
    """Each line: the number, its key and the run that wrote it."""
    fields = (line.split() for line in file.read_text().splitlines()) if file.exists() else ()
    return [(int(number), key, run) for number, key, run in fields]


def check(folder: Path, first: int, many: int = NUMBERS) -> int:
    """Everything that was accepted is written or a dead letter, by its key once; gives how much came twice.

    The numbers up to `first` and so many more were, so many together.
    """
    end = first + many
    written, letters = lines_of(folder / "written"), lines_of(folder / "letters")
    accepted = [int(line) for file in folder.glob("accepted-*") for line in file.read_text().split()]
    assert sorted(accepted) == list(range(end))
    assert {number for number, _, _ in written} == {number for number in accepted if not is_poison(number)}
    assert {number for number, _, _ in letters} == {number for number in accepted if is_poison(number)}
    by_key = {key: (number, run) for number, key, run in (*written, *letters)}
    assert {(number, key, run) for key, (number, run) in by_key.items()} == {*written, *letters}
    named = {key: number for key, (number, _) in by_key.items() if key.startswith("n")}
    assert sorted(named.values()) == [
        number for number in range(end) if number % many // WRITERS // 10 % 2 == 0
    ]
    for number, _, run in (*written, *letters):
        assert int(run) == number // many * many + number % many % WRITERS
    return len(written) + len(letters) - len({*written, *letters})


def left_in(folder: Path) -> set[str]:
    """The names of what lies in the folder and below it."""
    return {path.name for path in folder.rglob("*")}


@pytest.mark.timeout(600)
async def test_nothing_that_was_accepted_is_missing_whenever_the_process_is_killed(tmp_path: Path) -> None:
    async with killing("tests.faults.killed_spool", seed=SEED) as killer:
        for more in count():
            first = more * NUMBERS
            await killer.work("write_numbers", most=MOST, folder=str(tmp_path), first=first)
            twice = check(tmp_path, first)
            assert left_in(tmp_path / "spool") <= {"numbers"}
            print(f"{killer.kills} kills, {twice} of {first + NUMBERS} items came twice")
            if killer.kills >= KILLS:
                break


@pytest.mark.timeout(600)
async def test_nothing_that_was_accepted_is_missing_at_whatever_step_the_process_dies(tmp_path: Path) -> None:
    async with killing("tests.faults.killed_spool") as killer:
        for step in count(1):
            first = (step - 1) * FEW
            died = await killer.dies_at(step, "write_numbers", folder=str(tmp_path), first=first, many=FEW)
            check(tmp_path, first, FEW)
            assert left_in(tmp_path / "spool") <= {"numbers"}
            if not died:
                break
        assert killer.kills == step - 1 >= FEWEST
