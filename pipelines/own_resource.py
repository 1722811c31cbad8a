"""Resources of your own: an object with `acquire(info)`, which knows the run, and one that is shared by all runs.

A job names them in `resources=` and takes them as parameters; whatever is yielded is handed in, and what follows
the `yield` is done however the run ends. `scope="app"` opens a resource once, with the first run that asks
for it, and closes it with the application.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from piko_flow import Flow, Resource, RunContext, RunInfo


class RunNotes:
    """Gives each run a list of its own, and says at the end what stands in it."""

    @asynccontextmanager
    async def acquire(self, info: RunInfo) -> AsyncIterator[list[str]]:
        """Open the list of this run."""
        notes: list[str] = []
        try:
            yield notes
        finally:
            print(f"notes of run {info.run}: {', '.join(notes)}")


@asynccontextmanager
async def shared_counts() -> AsyncIterator[Counter[str]]:
    """Count over all runs of this process."""
    yield Counter()


@Flow.register(
    "own_resource",
    resources={"notes": RunNotes(), "counts": Resource(shared_counts, scope="app")},
    tags=["example"],
)
async def own_resource(run: RunContext, notes: list[str], counts: Counter[str]) -> None:
    """Note how often this flow has run in this process."""
    counts[run.flow] += 1
    notes.append(f"time {counts[run.flow]} in this process")
