"""Fixtures that give databases, and what is said of the tests that were left out for want of one.

* `mariadb`, `postgres`: a server for the whole session (each xdist worker has its own), or the one that
  `PIKO_TEST_MARIADB_DSN` and `PIKO_TEST_POSTGRES_DSN` name; its account must be able to create databases.
* `mariadb_url`, `postgres_url`, `sqlite_url`: an empty database, dropped after the test.
* `database_url`: each of the three in turn.
* `private_servers`: starts servers of the test's own, for faults; a variable has no say in it.

Where a server is not installed, its tests are left out and the summary says so; with `CI=true` or
`PIKO_TEST_REQUIRE_ALL=1` they fail.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from piko_flow.settings.values import with_driver
from tests.databases.ground import BRANDS, Ground
from tests.databases.host import Host, Kind
from tests.databases.server import Server

LEFT_OUT = "left out for want of "
HOW_TO_GET = {
    "Chromium": "apt-get install chromium",
    "Prometheus": "apt-get install prometheus",
    "Redis": "apt-get install redis-server",
    "curl": "apt-get install curl",
    "openssl": "apt-get install openssl",
    **{
        brand.name: f"apt-get install {brand.package}, or set {brand.variable} to a server "
        "where databases may be created"
        for brand in BRANDS.values()
    },
}
"""What a person can do to have the tests of that program run."""


class PrivateServers:
    """Starts servers that belong to one test."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.started: list[Server] = []

    def start(self, kind: Kind, *, time_zone: str | None = None, options: Sequence[str] = ()) -> Server:
        """A running server; `time_zone` is an offset such as +05:30, `options` go to its command."""
        demand(kind)
        self.started.append(self._ground.start(kind, time_zone=time_zone, options=options))
        return self.started[-1]


def required() -> bool:
    """Whether a test may not be left out."""
    asked = os.environ.get("PIKO_TEST_REQUIRE_ALL", "0") not in ("", "0")
    return asked or os.environ.get("CI", "").lower() in ("true", "1")


def demand(kind: Kind) -> None:
    """Leave the test out when no such server is installed; fail it where that is not allowed."""
    brand = BRANDS[kind]
    if brand.program() is None:
        leave_out(brand.name)


def leave_out(name: str) -> NoReturn:
    """Leave the test out for want of the program of this name; fail it where that is not allowed."""
    if required():
        pytest.fail(f"{name} is required here and not installed: {HOW_TO_GET[name]}", pytrace=False)
    pytest.skip(f"{LEFT_OUT}{name}")


def host(kind: Kind, ground: Ground) -> Host:
    """The session's server of that kind."""
    if given := os.environ.get(BRANDS[kind].variable):
        return Host(kind, with_driver(given))
    demand(kind)
    return ground.start(kind)


@pytest.fixture(scope="session")
def database_ground() -> Iterator[Ground]:
    ground = Ground()
    yield ground
    ground.close()


@pytest.fixture(scope="session")
def mariadb(database_ground: Ground) -> Host:
    return host("mariadb", database_ground)


@pytest.fixture(scope="session")
def postgres(database_ground: Ground) -> Host:
    return host("postgresql", database_ground)


# The servers start in a fixture of the session, thus before each test is asked what it leaves behind.
@pytest.fixture(scope="session", params=["sqlite", "mariadb", "postgres"])
def database_host(request: pytest.FixtureRequest) -> Host | None:
    """Each server in turn; None stands for SQLite, which has none."""
    found: Host | None = None if request.param == "sqlite" else request.getfixturevalue(request.param)
    return found


def empty_database(host: Host) -> Iterator[str]:
    url = host.create_database()
    yield url
    host.drop_database(url)


def sqlite_file(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'piko.db'}"


@pytest.fixture
def mariadb_url(mariadb: Host) -> Iterator[str]:
    yield from empty_database(mariadb)


@pytest.fixture
def postgres_url(postgres: Host) -> Iterator[str]:
    yield from empty_database(postgres)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return sqlite_file(tmp_path)


@pytest.fixture
def database_url(database_host: Host | None, tmp_path: Path) -> Iterator[str]:
    if database_host is None:
        yield sqlite_file(tmp_path)
    else:
        yield from empty_database(database_host)


@pytest.fixture
def private_servers(database_ground: Ground) -> Iterator[PrivateServers]:
    servers = PrivateServers(database_ground)
    yield servers
    for server in servers.started:
        database_ground.remove(server)


def summary(reasons: Iterable[str]) -> list[str]:
    """For each program that tests were left out for: how many, and how to have them run."""
    counts = Counter(found[1] for reason in reasons if (found := re.search(rf"{LEFT_OUT}(\w+)", reason)))
    return [
        f"{name}: tests left out: {count}. To run them: {HOW_TO_GET[name]}"
        for name, count in sorted(counts.items())
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what nothing was tried with."""
    skipped = terminalreporter.stats.get("skipped", [])
    lines = summary(str(getattr(report, "longrepr", "")) for report in skipped)
    if lines:
        terminalreporter.write_sep("!", "LEFT OUT: nothing was tried with these", red=True, bold=True)
        for line in lines:
            terminalreporter.write_line(line, red=True)
