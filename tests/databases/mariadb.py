"""A private MariaDB from Debian's mariadb-server, with everything as a server has it, but small."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.databases.server import Server, ServerFailed, bound_to_us

PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/bin")  # besides the PATH
TEMPORARY = "temporary"
"""The folder of temporary tables: one that begins removes all that it finds there, also those of another in /tmp."""
SMALL = ["--innodb-log-file-size=32M", "--innodb-buffer-pool-size=64M"]


def mariadbd() -> str | None:
    """Where the server's program lies, if it does."""
    return shutil.which("mariadbd", path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))


def as_whom() -> list[str]:
    """A server started by root wants to be told so."""
    return ["--user=root"] if os.geteuid() == 0 else []


def prepare_mariadb(template: Path, password: str) -> None:
    """Make the data folder that servers start from, with an account `piko` that may do everything."""
    install = shutil.which("mariadb-install-db", path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))
    assert install is not None, "mariadb-install-db comes with mariadbd"
    (template / TEMPORARY).mkdir()
    options = ["--no-defaults", f"--datadir={template / 'data'}", f"--tmpdir={template / TEMPORARY}"]
    made = subprocess.run(
        [install, *options, "--skip-name-resolve", "--skip-test-db", *as_whom(), *SMALL],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise ServerFailed(f"mariadb-install-db failed:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")
    account = "'piko'@'127.0.0.1'"
    (template / "init.sql").write_text(
        f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{password}';\n"
        f"GRANT ALL ON *.* TO {account} WITH GRANT OPTION;\n"
    )


class MariaDb(Server):
    """A private MariaDB. `time_zone` is an offset such as +05:30, `options` are added to mariadbd's command."""

    graceful = signal.SIGTERM

    def __init__(
        self, folder: Path, *, password: str, time_zone: str | None = None, options: Sequence[str] = ()
    ) -> None:
        zone = [] if time_zone is None else [f"--default-time-zone={time_zone}"]
        account = f"mysql+asyncmy://piko:{password}@127.0.0.1:{{port}}/mysql"
        super().__init__("mariadb", folder, account=account, options=[*zone, *options])

    def _command(self) -> list[str]:
        program = mariadbd()
        assert program is not None
        return [
            *bound_to_us("KILL"),
            program,
            "--no-defaults",
            *as_whom(),
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 'socket'}",
            f"--tmpdir={self.folder / TEMPORARY}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self.folder / 'init.sql'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--max-connections=300",
            *SMALL,
            *self.options,
        ]

    def _takes_connections(self) -> bool:
        """The server greets who connects; before it is ready a connection waits for the greeting."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return len(connection.recv(1)) == 1
        except OSError:
            return False
