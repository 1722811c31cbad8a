"""Fresh databases for the benchmarks: files, and databases of servers that start when first asked for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import make_url

from tests.benchmarks.control_rows import fill
from tests.benchmarks.neighbours import wait_for_quiet
from tests.databases.ground import Ground, open_folder
from tests.databases.host import Kind
from tests.databases.server import Server, children

Kinds = Kind | Literal["sqlite"]
Prepare = Callable[[str], None]
# What the servers have without settings; those of the tests are smaller.
MEMORY = {
    "mariadb": ("--innodb-buffer-pool-size=128M", "--innodb-log-file-size=96M"),
    "postgresql": ("-c", "shared_buffers=128MB"),
}
SETTLING = 10.0  # seconds that a server may go on working after a million rows


class Databases:
    """Gives empty databases, and ones with a million ended runs."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._numbers, self._stack = folder, count(1), stack
        self._template: Path | None = None
        self._ground: Ground | None = None
        self._servers: dict[Kind, Server] = {}

    @contextmanager
    def empty(self, kind: Kinds) -> Iterator[str]:
        """The URL of an empty database, which is dropped after the block."""
        if kind == "sqlite":
            folder = self._folder / f"file-{next(self._numbers)}"
            folder.mkdir()
            try:
                yield f"sqlite+aiosqlite:///{folder / 'runs.db'}"
            finally:
                shutil.rmtree(folder)
            return
        server = self._server(kind)
        url = server.create_database()
        try:
            yield url
        finally:
            server.drop_database(url)

    @contextmanager
    def filled(self, kind: Kinds, prepare: Prepare, columns: dict[str, str]) -> Iterator[str]:
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

    def _server(self, kind: Kind) -> Server:
        if self._ground is None:
            self._ground = Ground()
            self._stack.callback(self._ground.close)
        if kind not in self._servers:
            self._servers[kind] = self._ground.start(kind, options=MEMORY[kind])
        return self._servers[kind]

    def processes(self) -> list[int]:
        """The ids of the servers' processes that are running."""
        servers = [server.pid for server in self._servers.values() if server.running]
        return [process for server in servers for process in (server, *children(server))]


@contextmanager
def databases() -> Iterator[Databases]:
    """Databases whose files are removed and whose servers are stopped after the block."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="piko-bench-", dir=open_folder()))
        yield Databases(Path(folder), stack)
