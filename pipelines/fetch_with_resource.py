"""A client that is opened for the run, handed in by name, and closed however the run ends.

`resources=` names what a plain job needs; a stage of a pipeline does the same with `uses=`. `gazetteer` is a
function marked as async context manager. Fifty questions are asked, a bounded number at a time.
"""

import asyncio
import csv
import gzip
from collections import Counter
from itertools import islice
from typing import Final

from piko_flow import Flow, RunContext
from piko_flow.demo.gazetteer import Gazetteer, gazetteer
from piko_flow.demo.model import STORMS

QUESTIONS: Final = 50
AT_ONCE: Final = 10


def positions(count: int) -> list[tuple[float, float]]:
    """Give the first positions of the demo's storms, in degrees."""
    with gzip.open(STORMS, "rt", encoding="utf-8", newline="") as table:
        return [(float(row["lat"]), float(row["long"])) for row in islice(csv.DictReader(table), count)]


@Flow.register("fetch_with_resource", resources={"client": gazetteer}, tags=["example"])
async def fetch_with_resource(run: RunContext, client: Gazetteer) -> None:
    """Ask for the place nearest to each position, and say which came most often."""
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(lat: float, long: float) -> str:
        async with places:
            return (await client.nearest(lat, long)).place

    async with asyncio.TaskGroup() as questions:
        asked = [questions.create_task(ask(*position)) for position in positions(QUESTIONS)]
    ((place, times),) = Counter(one.result() for one in asked).most_common(1)
    print(f"{len(asked)} answers, most often {place} ({times})")
