"""Fresh databases for the benchmarks: files, and databases of servers that start when first asked for."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from tests.benchmarks.control_rows import fill
from tests.benchmarks.neighbours import wait_for_quiet

Prepare = Callable[[str], None]
VARIABLES = {"mariadb": "PIKO_TEST_MARIADB_DSN", "postgresql": "PIKO_TEST_POSTGRES_DSN"}
SETTLING = 10.0  # seconds that a server may go on working after a million rows


class Databases:
    """Gives empty databases, and ones with a million ended runs."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, count(1)
        self._template: Path | None = None

    @contextmanager
    def empty(self, kind: str) -> Iterator[str]:
        """The URL of an empty database of kind "sqlite", "mariadb" or "postgresql", which is dropped after the block."""
        name = f"bench_{os.getpid()}_{next(self._numbers)}"
        if kind == "sqlite":
            folder = self._folder / name
            folder.mkdir()
            try:
                yield f"sqlite+aiosqlite:///{folder / 'runs.db'}"
            finally:
                shutil.rmtree(folder)
            return
        server = make_url(self._server(kind))
        asyncio.run(_execute(server.render_as_string(hide_password=False), f"CREATE DATABASE {name}"))
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            asyncio.run(_execute(server.render_as_string(hide_password=False), f"DROP DATABASE {name}"))

    @contextmanager
    def filled(self, kind: str, prepare: Prepare, columns: dict[str, str]) -> Iterator[str]:
        """The same with the tables that `prepare` makes and a million runs; a file is filled once and copied."""
        with self.empty(kind) as url:
            if kind != "sqlite":
                prepare(url)
                fill(url, columns=columns)
            else:
                shutil.copyfile(self._filled_file(prepare, columns), str(make_url(url).database))
            wait_for_quiet(SETTLING)
            yield url

    def _filled_file(self, prepare: Prepare, columns: dict[str, str]) -> Path:
        if self._template is None:
            path = self._folder / "filled.db"
            prepare(f"sqlite+aiosqlite:///{path}")
            fill(f"sqlite+aiosqlite:///{path}", columns=columns)
            self._template = path
        return self._template

    def _server(self, kind: str) -> str:
        return os.environ[VARIABLES[kind]]

    def processes(self) -> list[int]:
        """The ids of the servers' processes that are running."""
        return []


@contextmanager
def databases() -> Iterator[Databases]:
    """Databases whose files are removed and whose servers are stopped after the block."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="piko-bench-"))
        yield Databases(Path(folder))


async def _execute(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()
