"""The engines that the contract is for, and a bell, as fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from piko_flow.dataflow.running.engine import Engine
from tests.contract.bell import Bell, hung_bell
from tests.contract.engines import ALL, ONE_AFTER_THE_OTHER, SIDE_BY_SIDE
from tests.databases.host import Host

pytest.register_assert_rewrite("piko_flow.testing.store_contract")


@pytest.fixture(params=list(ALL))
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine, one unit after the other and two side by side."""
    return ALL[request.param]()


@pytest.fixture(params=list(SIDE_BY_SIDE))
def side_by_side(request: pytest.FixtureRequest) -> Engine:
    """Each engine with two units side by side."""
    return SIDE_BY_SIDE[request.param]()


@pytest.fixture(params=list(ONE_AFTER_THE_OTHER))
def one_after_the_other(request: pytest.FixtureRequest) -> Engine:
    """Each engine with one unit at a time."""
    return ONE_AFTER_THE_OTHER[request.param]()


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    """A bell in the test's own folder."""
    with hung_bell(tmp_path / "bell") as bell:
        yield bell


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One file for all checks of a store, which empty it."""
    return f"sqlite:///{tmp_path_factory.mktemp('contract') / 'piko.db'}"


@pytest.fixture(scope="session")
def mariadb_tables(mariadb: Host) -> Iterator[str]:
    """One database for all checks of a store, which empty it."""
    yield from database(mariadb)


@pytest.fixture(scope="session")
def postgres_tables(postgres: Host) -> Iterator[str]:
    """One database for all checks of a store, which empty it."""
    yield from database(postgres)


def database(host: Host) -> Iterator[str]:
    url = host.create_database()
    yield url
    host.drop_database(url)
