"""Copying into tables is killed with -9 at random moments, and begun again until it is done: every row is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.databases.host import Host
from tests.databases.plugin import empty_database, sqlite_file
from tests.faults.killed_sql import ORDERS, UNITS, copying, orders_of, to_three_places
from tests.faults.killing import killing
from tests.system.sql_runs import HOUR, START, ledger_of
from tests.unit.sql_by_hand import Tables, order

KILLS, HOURS, MOST = 14, 2, 8
"""Kills for each kind of sink, at least; hours of one piece of work, which is killed so many times at most."""
FEW, FEWEST = 120, 10
"""Orders of an hour that is killed at each step, and steps that it has at least."""
SEED = int(os.environ.get("PIKO_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
REPLACE = {"mode": "replace_window", "window_column": "placed_at"}
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ledger in SQLite, held": ("sqlite", "", {}),
    "ledger in SQLite, staged": ("sqlite", "", {"in_memory": 150}),
    "ledger in MariaDB, staged": ("mariadb", "", {"in_memory": 150}),
    "ledger in MariaDB, held, replaced": ("mariadb", "", REPLACE),
    "ledger in PostgreSQL, staged": ("postgres", "", {"in_memory": 150}),
    "elsewhere in MariaDB, by key": ("sqlite", "mariadb", {"key": "id"}),
    "elsewhere in PostgreSQL, replaced": ("sqlite", "postgres", REPLACE),
}
"""By name: where the ledger is, where the table is (empty: there, too), and the options of the sink."""


@pytest.fixture(scope="session")
def hosts(request: pytest.FixtureRequest) -> dict[str, Host]:
    """The servers, running."""
    return {name: request.getfixturevalue(name) for name in ("mariadb", "postgres")}


@pytest.fixture(params=list(KINDS))
def place(
    request: pytest.FixtureRequest, hosts: dict[str, Host], tmp_path: Path
) -> Iterator[tuple[str, Tables, dict[str, Any]]]:
    """The URL of the ledger, the tables, and the options of the sink, of each kind in turn."""
    ledger, elsewhere, options = KINDS[request.param]
    databases = [empty_database(hosts[name]) for name in (ledger, elsewhere) if name in hosts]
    urls = [next(database) for database in databases]
    ledger_url = sqlite_file(tmp_path) if ledger == "sqlite" else urls[0]
    table_url = urls[-1] if elsewhere else ledger_url
    yield ledger_url, Tables(table_url), {**options, **({"url": table_url} if elsewhere else {})}
    for database in databases:
        next(database, None)


def names(folder: Path, pattern: str) -> list[str]:
    """The names of files in the folder, sorted."""
    return sorted(path.name for path in folder.glob(pattern))


async def check(tables: Tables, first: int, last: int) -> None:
    """Every order of these hours is there, once, as it is, and there is nothing else."""
    (found,) = await tables.rows(
        "SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id), SUM(amount) FROM orders"
    )
    amounts = sum(one.amount for number in range(first, last) for one in orders_of(number))
    assert [float(value) for value in found] == [
        (last - first) * ORDERS,
        (last - first) * ORDERS,
        first * ORDERS,
        last * ORDERS - 1,
        float(amounts),
    ]
    customers = await tables.rows("SELECT customer, COUNT(*) FROM orders GROUP BY customer")
    wanted: dict[str, int] = {}
    for number in range(first, last):
        for one in orders_of(number):
            wanted[one.customer] = wanted.get(one.customer, 0) + 1
    assert dict(customers) == wanted


@pytest.mark.timeout(300)
async def test_what_was_killed_at_any_moment_is_written_once_when_it_is_done(
    place: tuple[str, Tables, dict[str, Any]],
) -> None:
    ledger, tables, options = place
    async with ledger_of(ledger, copying(options)) as opened:
        await tables.make()
        async with killing("tests.faults.killed_sql", seed=SEED) as killer:
            for more in count():
                first, last = more * HOURS, (more + 1) * HOURS
                if options.get("mode") == "replace_window":
                    await tables.fill(order(-1, "old", placed_at=START + first * HOUR))
                await killer.work(
                    "copy_hours", most=MOST, ledger=ledger, first=first, last=last, options=options
                )
                await check(tables, 0, last)
                assert [(span.start, span.end) for span in await opened.settled()] == [
                    (START, START + last * HOUR)
                ]
                if killer.kills >= KILLS:
                    break
        assert await opened.staged() == 0


@pytest.mark.timeout(300)
async def test_at_whatever_step_its_process_dies_an_hour_is_written_once(
    place: tuple[str, Tables, dict[str, Any]],
) -> None:
    ledger, tables, options = place
    if "in_memory" in options:  # so that a unit of so few is staged, too
        options["in_memory"] = FEW // UNITS // 2
    async with ledger_of(ledger, copying(options)) as opened, killing("tests.faults.killed_sql") as killer:
        await tables.make()
        for step in count(1):
            if options.get("mode") == "replace_window":
                await tables.fill(order(-1, "old", placed_at=START + (step - 1) * HOUR))
            hour = {"first": step - 1, "last": step, "many": FEW}
            died = await killer.dies_at(step, "copy_hours", ledger=ledger, options=options, **hour)
            found = await tables.rows("SELECT id FROM orders ORDER BY id")
            assert found == [(number,) for number in range(step * FEW)], f"it died at step {step}"
            if not died:
                break
        assert killer.kills == step - 1 > FEWEST
        assert [(span.start, span.end) for span in await opened.settled()] == [(START, START + step * HOUR)]
        assert await opened.staged() == 0


@pytest.mark.timeout(300)
async def test_without_a_key_elsewhere_every_row_is_there_at_least_once(
    hosts: dict[str, Host], tmp_path: Path
) -> None:
    ledger = sqlite_file(tmp_path)
    for elsewhere in empty_database(hosts["mariadb"]):
        tables, options = Tables(elsewhere), {"url": elsewhere}
        await tables.rows(
            "CREATE TABLE orders (id BIGINT, customer VARCHAR(40), amount DECIMAL(12, 2), placed_at DATETIME(6))"
        )
        async with (
            ledger_of(ledger, copying(options)) as opened,
            killing("tests.faults.killed_sql", seed=SEED) as killer,
        ):
            last = 0
            while killer.kills < KILLS:
                hours = {"first": last, "last": last + HOURS}
                await killer.work("copy_hours", most=MOST, ledger=ledger, **hours, options=options)
                last += HOURS
            assert [(span.start, span.end) for span in await opened.settled()] == [
                (START, START + last * HOUR)
            ]
        found = await tables.rows("SELECT DISTINCT id, customer, amount FROM orders ORDER BY id")
        wanted = [one for number in range(last) for one in orders_of(number)]
        assert found == [(one.id, one.customer, one.amount) for one in wanted]


async def test_a_crash_between_the_commits_of_two_sinks_doubles_nothing_and_loses_nothing(
    hosts: dict[str, Host], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    ledger, replaced = sqlite_file(tmp_path), sqlite_file(tmp_path / "other")
    for upserted in empty_database(hosts["mariadb"]):
        places = [await Tables(url).make() for url in (ledger, replaced, upserted)]
        death = str(tmp_path / "died")
        async with ledger_of(ledger, to_three_places(death, replaced, upserted)) as opened:
            async with killing("tests.faults.killed_sql", seed=SEED) as killer:
                await killer.work(
                    "copy_to_three_places",
                    most=200,  # those by its own hand are among them
                    ledger=ledger,
                    hours=3,
                    death=death,
                    replaced=replaced,
                    upserted=upserted,
                )
            assert names(tmp_path, "died-*") == ["died-0", "died-1", "died-2"]
            assert [(span.start, span.end) for span in await opened.settled()] == [(START, START + 3 * HOUR)]
        for tables in places:
            await check(tables, 0, 3)
