"""The stores that the contract is for, by name: each is made from what its fixture gives.

A store is added by an entry here: its name, the fixture it needs (one of `tests/databases/plugin.py`, or None), and
what makes a `StoreUnderTest` of the fixture's value, on a store that is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from piko_flow.testing.store_contract import MemoryStores, StoreUnderTest
from tests.contract.sql_stores import SqlStores


class Kind(NamedTuple):
    """How the tests come by a store of one kind."""

    fixture: str | None
    make: Callable[[Any], StoreUnderTest]


STORES: Final[dict[str, Kind]] = {
    "memory": Kind(None, lambda _: MemoryStores()),
    "sqlite": Kind("sqlite_url", SqlStores),
    "mariadb": Kind("mariadb_url", SqlStores),
    "postgres": Kind("postgres_url", SqlStores),
}
