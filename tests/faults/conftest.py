"""Databases for the tests of faults with real replicas."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.databases.host import Host
from tests.databases.plugin import empty_database, sqlite_file
from tests.faults.control_scene import Scene, scene


@pytest.fixture(scope="session", params=["sqlite", "mariadb"])
def control_host(request: pytest.FixtureRequest) -> Host | None:
    """Each kind in turn; None stands for SQLite."""
    found: Host | None = None if request.param == "sqlite" else request.getfixturevalue(request.param)
    return found


@pytest.fixture
def control_url(control_host: Host | None, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if control_host is None:
        yield sqlite_file(tmp_path)
    else:
        yield from empty_database(control_host)


@pytest.fixture(scope="session", params=["mariadb", "postgres"])
def server_host(request: pytest.FixtureRequest) -> Host:
    """A server of each kind in turn."""
    found: Host = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def server_url(server_host: Host) -> Iterator[str]:
    """An empty database on a server."""
    yield from empty_database(server_host)


@pytest_asyncio.fixture
async def control_scene(control_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """A database with its tables made, on which no replica works yet."""
    async with scene(tmp_path, control_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def sqlite_scene(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """The same, in a file."""
    async with scene(tmp_path, sqlite_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def mariadb_scene(mariadb_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """The same, in MariaDB."""
    async with scene(tmp_path, mariadb_url) as opened:
        yield opened
