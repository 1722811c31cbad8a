"""Objects under kill -9: a reader finds the old object or the new one, whole; no part and no upload stays behind."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from pathlib import Path

import pytest

from tests.databases.buckets import Bucket
from tests.faults.killed_files import NAMES, UNITS, seen, whole, write_turn
from tests.faults.killing import killing

KILLS, MOST = 6, 4  # for each kind; in one turn
FEWEST = 20  # steps of a turn, at least
SEED = int(os.environ.get("PIKO_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big")


@pytest.mark.parametrize("kind", ["csv", "jsonl-units"])
async def test_objects_are_replaced_whole_whoever_is_killed(
    kind: str, bucket: Bucket, tmp_path: Path
) -> None:
    place = f"{bucket.url}/out"
    async with killing("tests.faults.killed_files", seed=SEED) as killer:
        for turn in count():
            await killer.work(
                "write_turn",
                most=MOST if turn else 0,
                kind=kind,
                place=place,
                journal=str(tmp_path / "journal"),
                turn=turn,
                bucket=[bucket.endpoint, bucket.name],
            )
            assert await asyncio.to_thread(seen, kind, place, bucket.store) == whole(turn)
            if killer.kills >= KILLS:
                break
    await check_swept(kind, bucket, tmp_path, turn)


@pytest.mark.parametrize("kind", ["csv", "jsonl-units"])
async def test_objects_are_replaced_whole_at_whatever_step_the_process_dies(
    kind: str, bucket: Bucket, tmp_path: Path
) -> None:
    place, journal = f"{bucket.url}/out", str(tmp_path / "journal")
    where = [bucket.endpoint, bucket.name]
    await write_turn(kind, place, journal, 0, bucket=where)
    async with killing("tests.faults.killed_files") as killer:
        for step in count(1):
            turn = {"kind": kind, "place": place, "journal": journal, "turn": step, "bucket": where}
            died = await killer.dies_at(step, "write_turn", **turn)
            assert await asyncio.to_thread(seen, kind, place, bucket.store) == whole(step), f"step {step}"
            if not died:
                break
        assert killer.kills == step - 1 >= FEWEST
    await check_swept(kind, bucket, tmp_path, step)


async def check_swept(kind: str, bucket: Bucket, folder: Path, turn: int) -> None:
    """A run that nobody kills sweeps what those before it have left; `turn` was the last one."""
    place, journal = f"{bucket.url}/out", str(folder / "journal")
    await write_turn(kind, place, journal, turn + 1, bucket=[bucket.endpoint, bucket.name])
    units = "units" in kind
    ends = [f"-{unit:05}" for unit in range(UNITS)] if units else [""]
    keys = bucket.keys()
    # Who is killed after the commit of its run leaves the sign that it is at work, which is believed for ten minutes;
    # the last run was killed by nobody.
    signs = {f"out/.{NAMES[kind]}~turn-{one:04}-held.part" for one in range(turn + 1)}
    assert sorted(set(keys) - signs) == [f"out/{NAMES[kind].replace('-{unit}', end)}" for end in ends]
    assert bucket.uploads() == []
