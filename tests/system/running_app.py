"""An application at work in this process, on an SQLite file, and how a test waits for what it does."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from piko_flow import App, Flow, Registry, Settings
from piko_flow.planning.run_state import LIVE
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import RunRecord

T = TypeVar("T")
DEADLINE = 60.0  # seconds that anything may take on a busy machine
AGAIN = 0.02  # seconds between two looks


async def eventually(ask: Callable[[], Awaitable[T]], *, within: float = DEADLINE) -> T:
    """What `ask` gives, as soon as that is true. Raises TimeoutError when it never is."""
    async with asyncio.timeout(within):
        while True:
            if found := await ask():
                return found
            await asyncio.sleep(AGAIN)


@dataclass
class Running:
    """An application that runs, and its database."""

    app: App
    database: Path

    def sql(self, statements: str) -> None:
        """Execute statements as a person's own client of the database would."""
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            connection.executescript(statements)

    async def trigger(self, flow: str, **given: Any) -> RunRecord:
        """Queue a run, and give it as it is when it has ended."""
        run = await self.app.service.call(lambda plane: plane.trigger(flow, **given))

        async def ended() -> RunRecord | None:
            found = await self.app.service.call(lambda plane: plane.store.run(run.id))
            return None if found is None or found.status in LIVE else found

        found = await eventually(ended)
        assert found is not None
        return found

    async def runs(self, flow: str, statuses: Collection[Any] = ()) -> list[RunRecord]:
        """The runs of a flow, oldest first."""
        wanted = RunFilter(flow=flow, statuses=statuses, limit=1000)
        return (await self.app.service.call(lambda plane: plane.store.runs(wanted)))[::-1]

    async def at_least(self, count: int, flow: str, *statuses: Any) -> list[RunRecord]:
        """The runs of a flow in these states (any, when none is named), as soon as there are so many."""

        async def enough() -> list[RunRecord]:
            found = await self.runs(flow, statuses)
            return found if len(found) >= count else []

        return await eventually(enough)


@asynccontextmanager
async def running(registry: Registry[Flow], folder: Path, **settings: Any) -> AsyncIterator[Running]:
    """An application over these flows while the block is open; polls often, so that tests need not wait."""
    database = folder / "piko.db"
    quick = {"poll_s": 0.05, "poll_interval_s": 0.1, "poll_jitter_s": 0, "cpu_workers": 2, "drain_s": 5}
    chosen = Settings(**{"database": SecretStr(f"sqlite:///{database}"), **quick, **settings})
    app = App("test", registry=registry, settings=chosen)
    async with app.running():
        yield Running(app, database)
