"""The folder that private servers live in, the servers of one test session, and whether they can be had at all."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.databases.host import Kind
from tests.databases.mariadb import MariaDb, mariadbd, prepare_mariadb
from tests.databases.postgres import Postgres, postgres_program, prepare_postgres
from tests.databases.server import Server

PREFIX = "piko-databases-"


class Brand(NamedTuple):
    """What the tests must know of one kind of server: where to look for it, and how a person gets it."""

    name: str
    package: str
    variable: str
    program: Callable[[], str | None]
    prepare: Callable[[Path, str], None]
    server: type[MariaDb | Postgres]


BRANDS: dict[Kind, Brand] = {
    "mariadb": Brand(
        "MariaDB", "mariadb-server", "PIKO_TEST_MARIADB_DSN", mariadbd, prepare_mariadb, MariaDb
    ),
    "postgresql": Brand(
        "PostgreSQL", "postgresql", "PIKO_TEST_POSTGRES_DSN", postgres_program, prepare_postgres, Postgres
    ),
}


def open_folder() -> Path:
    """A folder that any user may enter and that lies on a disk where there is one: in memory, fsync is nothing."""
    return next((path for path in (Path("/var/tmp"), Path("/tmp")) if os.access(path, os.W_OK)), Path.cwd())


class Ground:
    """Starts private servers, each from a copy of a data folder made once, and removes all of it at the end."""

    def __init__(self) -> None:
        sweep(open_folder())
        made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=open_folder()))
        made.chmod(0o711)  # PostgreSQL's user must reach its data below
        self._lock = (made / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Only now under the name that others sweep, so that nobody finds it without its lock held.
        self._root = made.rename(made.with_name(made.name.removeprefix(".")))
        self._password = secrets.token_hex(8)
        self._servers: list[Server] = []

    def start(self, kind: Kind, *, time_zone: str | None = None, options: Sequence[str] = ()) -> Server:
        """Start one more server with its own data; it is removed at the latest when this is closed."""
        brand = BRANDS[kind]
        template = self._root / f"{kind}-template"
        if not template.exists():
            template.mkdir(mode=0o711)
            brand.prepare(template, self._password)
        folder = self._root / f"{kind}-{secrets.token_hex(4)}"
        subprocess.run(["cp", "-a", "--reflink=auto", str(template), str(folder)], check=True)
        server = brand.server(folder, password=self._password, time_zone=time_zone, options=options)
        self._servers.append(server)
        server.start()
        return server

    def remove(self, server: Server) -> None:
        """Stop one server and delete its data."""
        self._servers.remove(server)
        server.remove()

    def close(self) -> None:
        """Stop every server and delete the folder."""
        for server in list(self._servers):
            self.remove(server)
        shutil.rmtree(self._root)
        self._lock.close()


def sweep(place: Path) -> None:
    """Delete what sessions left that were killed: nobody holds their lock any more."""
    for left in place.glob(f"{PREFIX}*"):
        with suppress(OSError), (left / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
