"""Files under kill -9: a reader finds the old file or the new one, whole, and in the end nothing beside it."""

from __future__ import annotations

import os
import zlib
from itertools import count
from pathlib import Path

import pytest

from tests.faults.killed_files import HOURS, NAMES, hours_of, of_hours, seen, whole, write_day, write_turn
from tests.faults.killing import killing
from tests.unit.files_by_hand import names

HELD = "-held.part"
KILLS, MOST = 8, 6  # for each kind; in one turn
SEED = int(os.environ.get("PIKO_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big")


def sums(folder: Path) -> dict[str, int]:
    """The checksum of each file in the folder."""
    return {path.name: zlib.crc32(path.read_bytes()) for path in folder.iterdir()}


@pytest.mark.parametrize("kind", NAMES)
async def test_files_are_replaced_whole_whoever_is_killed(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "out"
    async with killing("tests.faults.killed_files", seed=SEED) as killer:
        for turn in count():
            last = killer.kills >= KILLS
            await killer.work(
                "write_turn",
                most=MOST if turn and not last else 0,
                kind=kind,
                place=str(place),
                journal=str(tmp_path / "journal"),
                turn=turn,
            )
            assert seen(kind, str(place)) == whole(turn)
            left = [name for name in names(place) if name.startswith(".")]
            # Who is killed after the commit leaves its hold, which the next run sweeps.
            assert [name for name in left if last or not name.endswith(HELD)] == []
            if last:
                break
    # The same turn by a process that nobody kills gives the same bytes.
    undisturbed = tmp_path / "undisturbed"
    await write_turn(kind, str(undisturbed), str(tmp_path / "other-journal"), turn, alone=True)
    assert sums(undisturbed) == sums(place)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
async def test_the_hours_of_a_day_are_replaced_by_the_day_whoever_is_killed(
    kind: str, tmp_path: Path
) -> None:
    place = tmp_path / "out"
    async with killing("tests.faults.killed_files", seed=SEED) as killer:
        for day in count():
            last = killer.kills >= KILLS
            await killer.work(
                "write_day",
                most=0 if last else MOST,
                kind=kind,
                place=str(place),
                journal=str(tmp_path / "journal"),
                day=day,
            )
            days = [(one * HOURS, (one + 1) * HOURS) for one in range(day + 1)]
            assert hours_of(kind, str(place)) == {hours: of_hours(*hours) for hours in days}
            written = [name for name in names(place) if last or not name.endswith(HELD)]
            assert len(written) == len(days), "something else is left"
            if last:
                break
    # The same days by a process that nobody kills give the same bytes.
    undisturbed, journal = tmp_path / "undisturbed", str(tmp_path / "other-journal")
    for one in range(day + 1):
        await write_day(kind, str(undisturbed), journal, one)
    assert sums(undisturbed) == sums(place)
