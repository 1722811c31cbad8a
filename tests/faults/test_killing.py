"""The tool that kills work: it kills, and what was killed goes on."""

import asyncio
from itertools import count
from pathlib import Path

from tests.faults.killing import killing


async def count_to(file: str, end: int) -> None:
    """Work whose progress is the length of a file."""
    with Path(file).open("ab", buffering=0) as lines:  # noqa: ASYNC230  # that of a test
        while lines.tell() < end:
            lines.write(b"x")
            await asyncio.sleep(0)


async def test_work_is_killed_at_random_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async with killing(__name__, seed=1) as killer:
        for number in count():
            file = tmp_path / f"{number}"
            await killer.work("count_to", most=10, file=str(file), end=30_000)
            assert file.stat().st_size == 30_000
            if killer.kills >= 5:
                break
