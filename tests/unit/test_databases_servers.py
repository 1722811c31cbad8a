"""The private servers that tests start: fresh databases, and every way for a server to go and come back."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from select import select

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.architecture.checkout import ROOT
from tests.databases.ground import Ground, open_folder, sweep
from tests.databases.host import Host, Kind
from tests.databases.plugin import PrivateServers, demand
from tests.databases.server import Server, ended

KINDS: list[Kind] = ["mariadb", "postgresql"]


def count(server: Host) -> int:
    return int(str(server.execute("SELECT COUNT(*) FROM t")[0]))


async def test_a_database_is_empty_and_takes_tables(database_url: str) -> None:
    engine = create_async_engine(database_url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(
                text("CREATE TABLE t (n INTEGER)")
            )  # would fail where another test left one
            await connection.execute(text("INSERT INTO t VALUES (1)"))
            assert (await connection.execute(text("SELECT n FROM t"))).scalar_one() == 1
    finally:
        await engine.dispose()


def test_a_database_is_gone_after_it_was_dropped(mariadb: Host, postgres: Host) -> None:
    for server in (mariadb, postgres):
        url = server.create_database()
        assert Host(server.kind, url).execute("SELECT 1") == [1]
        server.drop_database(url)
        with pytest.raises((DBAPIError, OSError), match=r"(?i)unknown database|does not exist"):
            Host(server.kind, url).execute("SELECT 1")


async def test_a_database_that_is_in_use_is_dropped_all_the_same(mariadb: Host, postgres: Host) -> None:
    for server in (mariadb, postgres):
        url = server.create_database()
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            await connection.execute(text("CREATE TABLE t (n INTEGER)"))
            await connection.execute(text("INSERT INTO t VALUES (1)"))
            await asyncio.to_thread(server.drop_database, url)
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELECT * FROM t"))
            await connection.invalidate()
        await engine.dispose()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_committed_outlives_kill_stop_and_restart(
    private_servers: PrivateServers, kind: Kind
) -> None:
    server = private_servers.start(kind)
    url = server.url()
    server.execute("CREATE TABLE t (n INTEGER)")
    server.execute("INSERT INTO t VALUES (1)")
    server.kill()
    assert not server.running
    with pytest.raises((OperationalError, OSError)):
        count(server)
    server.start()
    assert count(server) == 1
    first = server.pid
    server.restart()
    assert count(server) == 1
    assert server.pid != first
    server.stop()
    server.stop()
    server.start()
    assert (count(server), server.url()) == (1, url)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_paused_server_answers_when_it_is_resumed(
    private_servers: PrivateServers, kind: Kind
) -> None:
    server = private_servers.start(kind)
    server.pause()
    asked = asyncio.create_task(asyncio.to_thread(server.execute, "SELECT 1"))
    done, _ = await asyncio.wait([asked], timeout=0.2)
    assert not done
    server.resume()
    assert await asked == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_keeps_the_time_zone_it_was_asked_for(private_servers: PrivateServers, kind: Kind) -> None:
    server = private_servers.start(kind, time_zone="+05:30")
    minutes = {
        "mariadb": "SELECT TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(6), NOW(6))",
        "postgresql": "SELECT (EXTRACT(TIMEZONE FROM now()) / 60)::int",
    }
    assert server.execute(minutes[kind]) == [330]


def test_a_commit_reaches_the_disk_before_it_returns(mariadb: Host, postgres: Host) -> None:
    if isinstance(mariadb, Server):
        assert mariadb.execute("SELECT @@innodb_flush_log_at_trx_commit") == [1]
    if isinstance(postgres, Server):
        assert postgres.execute("SELECT setting FROM pg_settings WHERE name = 'fsync'") == ["on"]


def test_a_server_that_cannot_start_says_what_it_wrote(private_servers: PrivateServers) -> None:
    with pytest.raises(RuntimeError, match="no-such-option"):
        private_servers.start("mariadb", options=["--no-such-option"])


def test_closing_the_ground_leaves_neither_process_nor_file() -> None:
    for kind in KINDS:
        demand(kind)
    ground = Ground()
    servers = [ground.start(kind) for kind in KINDS]
    servers[1].kill()
    pid, folders = servers[0].pid, [server.folder for server in servers]
    ground.close()
    assert ended(pid)
    assert [folder for folder in folders if folder.exists() or folder.parent.exists()] == []


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for the servers of another session, in which no session but the test's own sweeps."""
    made = Path(tempfile.mkdtemp(prefix="piko-place-", dir=open_folder()))
    made.chmod(0o711)  # PostgreSQL's user must reach its data below
    yield made
    shutil.rmtree(made)


def test_a_session_that_is_killed_takes_its_servers_along_and_its_folder_is_swept_later(place: Path) -> None:
    for kind in KINDS:
        demand(kind)
    script = (
        "import sys, pathlib\n"
        "from tests.databases import ground\n"
        "ground.open_folder = lambda: pathlib.Path(sys.argv[1])\n"
        "made = ground.Ground()\n"
        "servers = [made.start(kind) for kind in ('mariadb', 'postgresql')]\n"
        "print(*[server.pid for server in servers], servers[0].folder.parent, flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", script, str(place)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as session:
        assert session.stdout is not None
        *pids, folder = session.stdout.readline().split()
        sweep(place)
        assert Path(folder).exists(), "the lock of a living session is respected"
        session.send_signal(signal.SIGKILL)
    for pid in map(int, pids):
        wait_for_end(pid)
    assert Path(folder).parent == place
    sweep(place)
    assert list(place.iterdir()) == []


def wait_for_end(pid: int) -> None:
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            assert select([descriptor], [], [], 30)[0], f"process {pid} is still there"
        finally:
            os.close(descriptor)
