"""The stores that the contract is for, by name: each is made from what its fixture gives.

A store is added by an entry here: its name, the server and the fixture it needs (both of `tests/databases/plugin.py`,
or None), and what makes a `StoreUnderTest` of the fixture's value, on a store that is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from piko_flow.testing.store_contract import MemoryStores, StoreUnderTest
from tests.contract.sql_stores import SqlStores


class Kind(NamedTuple):
    """How the tests come by a store of one kind."""

    server: str | None
    fixture: str | None
    make: Callable[[Any], StoreUnderTest]


STORES: Final[dict[str, Kind]] = {
    "memory": Kind(None, None, lambda _: MemoryStores()),
    "sqlite": Kind(None, "sqlite_tables", SqlStores),
    "mariadb": Kind("mariadb", "mariadb_tables", SqlStores),
    "postgres": Kind("postgres", "postgres_tables", SqlStores),
}
