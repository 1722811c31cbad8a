"""A private PostgreSQL from Debian's postgresql; root starts it as the user postgres, which it insists on."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.databases.server import Server, ServerFailed, bound_to_us, children

VERSIONS = Path("/usr/lib/postgresql")  # Debian has a folder for each below it, none of them on the PATH
SMALL = ["-c", "shared_buffers=32MB", "-c", "max_connections=200", "-c", "unix_socket_directories="]


def postgres_program(name: str = "postgres") -> str | None:
    """Where a program of the newest version lies, if it does."""
    found = sorted(VERSIONS.glob("*/bin"), key=lambda path: (len(path.parent.name), path.parent.name))
    return shutil.which(name, path=os.pathsep.join([*map(str, reversed(found)), os.environ.get("PATH", "")]))


def account_of_system() -> pwd.struct_passwd | None:
    """The user that root must become, None where we are somebody else already."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")


def as_whom() -> list[str]:
    """What a command begins with to run as that user."""
    account = account_of_system()
    if account is None:
        return []
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]


def prepare_postgres(template: Path, password: str) -> None:
    """Make the data folder that servers start from, with an account `piko` that may do everything."""
    initdb = postgres_program("initdb")
    assert initdb is not None, "initdb comes with postgres"
    if (account := account_of_system()) is not None:
        os.chown(template, account.pw_uid, account.pw_gid)
    secret = template / "password"
    secret.write_text(password)
    secret.chmod(0o644)
    options = [
        "-U",
        "piko",
        "-A",
        "scram-sha-256",
        f"--pwfile={secret}",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]
    command = [*as_whom(), initdb, "-D", str(template / "data"), *options]
    made = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    secret.unlink()
    if made.returncode != 0:
        raise ServerFailed(f"initdb failed:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")


LAST_TO_START = "postgres: logical replication launcher"
"""Once it is there no process is started any more but for those who connect."""


class Postgres(Server):
    """A private PostgreSQL. `time_zone` is an offset such as +05:30, `options` are added to postgres's command."""

    graceful = signal.SIGINT

    def __init__(
        self, folder: Path, *, password: str, time_zone: str | None = None, options: Sequence[str] = ()
    ) -> None:
        zone = [] if time_zone is None else ["-c", f"timezone={posix_zone(time_zone)}"]
        account = f"postgresql+asyncpg://piko:{password}@127.0.0.1:{{port}}/postgres"
        super().__init__("postgresql", folder, account=account, options=[*zone, *options])

    def _command(self) -> list[str]:
        program = postgres_program()
        assert program is not None
        where = ["-D", str(self.folder / "data"), "-h", "127.0.0.1", "-p", str(self.port)]
        bound = bound_to_us("QUIT")
        # The kernel forgets the wish when the user changes, so both are asked of one setpriv.
        begins = [*bound, *as_whom()[1:]] if bound and as_whom() else bound or as_whom()
        return [*begins, program, *where, *SMALL, *self.options]

    def remove(self) -> None:
        """Stop and delete the data, and the mark that a killed server leaves in shared memory."""
        self.stop()
        with suppress(FileNotFoundError, IndexError):
            mark = (self.folder / "data" / "postmaster.pid").read_text().splitlines()[6].split()[1]
            subprocess.run(["ipcrm", "-m", mark], capture_output=True, check=False)
        super().remove()

    def _takes_connections(self) -> bool:
        with suppress(OSError):
            status = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
            ready = len(status) > 7 and status[0] == str(self.pid) and status[7].strip() == "ready"
            return ready and LAST_TO_START in map(title_of, children(self.pid))
        return False


def title_of(pid: int) -> str:
    """What a process of PostgreSQL says that it is; that of the main one until it has said so."""
    with suppress(OSError):  # it has ended meanwhile
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode()
    return ""


def posix_zone(offset: str) -> str:
    """PostgreSQL reads an offset as POSIX does, whose sign is turned: +05:30 is <+05:30>-05:30."""
    turned = {"+": "-", "-": "+"}[offset[0]] + offset[1:]
    return f"<{offset}>{turned}"
