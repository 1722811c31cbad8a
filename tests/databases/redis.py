"""A private Redis from Debian's redis-server, which keeps every command on the disk before it answers."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases.plugin import leave_out
from tests.databases.server import Server, bound_to_us

PASSWORD = "piko-secret-that-nobody-may-see"


class RedisHost(Server):
    """A private Redis; what it has answered outlives `kill`. `client` asks it without the library under test."""

    graceful = signal.SIGTERM

    def __init__(self, folder: Path, *, options: tuple[str, ...] = ()) -> None:
        account = f"redis://:{PASSWORD}@127.0.0.1:{{port}}/0"
        super().__init__("redis", folder, account=account, options=options)  # type: ignore[arg-type]  # no SQL

    def client(self, *command: str | bytes) -> str:
        """What redis-cli prints for a command, without the last line feed."""
        program = shutil.which("redis-cli")
        assert program is not None, "redis-cli comes with redis-server"
        done = subprocess.run(
            [program, "-p", str(self.port), "--no-auth-warning", "-a", PASSWORD, *command],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.rstrip("\n")

    def names(self) -> list[str]:
        """The names of all keys, sorted."""
        return sorted(self.client("KEYS", "*").split())

    def _command(self) -> list[str]:
        program = shutil.which("redis-server")
        assert program is not None
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "requirepass": PASSWORD,
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
        }
        listed = [text for name, value in options.items() for text in (f"--{name}", value)]
        return [*bound_to_us("KILL"), program, *listed, *self.options]

    def _takes_connections(self) -> bool:
        """It has read its files: until then it answers that it is loading."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {PASSWORD}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (piece := connection.recv(100)):
                    answer += piece
                return answer.endswith(b"+PONG\r\n")
        except OSError:
            return False


def demand_redis() -> None:
    """Leave the test out when Redis is not installed; fail it where that is not allowed."""
    if shutil.which("redis-server") is None:
        leave_out("Redis")


def redis_in(folder: Path, *options: str) -> RedisHost:
    """A running server with its files in the folder; without one the test is left out, or fails."""
    demand_redis()
    server = RedisHost(folder, options=options)
    server.start()
    return server


@pytest.fixture(scope="session")
def redis_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisHost]:
    server = redis_in(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis(redis_host: RedisHost) -> RedisHost:
    """An empty Redis, shared by the tests of a process one after the other."""
    redis_host.client("FLUSHALL")
    return redis_host


@pytest.fixture
def private_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisHost]:
    """A Redis that belongs to one test, which may kill it."""
    server = redis_in(tmp_path_factory.mktemp("private-redis"))
    yield server
    server.stop()
