"""Every store keeps every promise of the contract; the checks are those that users get."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from piko_flow.store.protocols import Store
from piko_flow.testing import store_contract
from piko_flow.testing.store_contract import STORE_CONTRACT, Check, StoreUnderTest
from tests.contract.stores import STORES, Kind

FOLDER = Path(store_contract.__file__).parent


# Of the session, so that a server has started before a test is asked what it leaves behind.
@pytest.fixture(scope="session", params=list(STORES))
def kind_of_store(request: pytest.FixtureRequest) -> Kind:
    """Each kind in turn, its server running."""
    kind = STORES[request.param]
    if kind.server is not None:
        request.getfixturevalue(kind.server)
    return kind


@pytest.fixture
def stores(kind_of_store: Kind, request: pytest.FixtureRequest) -> StoreUnderTest:
    """A store of each kind in turn, empty."""
    fixture = kind_of_store.fixture
    return kind_of_store.make(None if fixture is None else request.getfixturevalue(fixture))


@pytest.mark.parametrize("check", STORE_CONTRACT, ids=lambda check: check.__name__)
async def test_the_store_keeps_its_promise(check: Check, stores: StoreUnderTest) -> None:
    await check(stores)


def test_no_check_is_left_out_of_the_contract() -> None:
    written = {
        found.name
        for path in FOLDER.glob("*.py")
        for found in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(found, ast.AsyncFunctionDef) and [arg.arg for arg in found.args.args] == ["stores"]
    }
    assert written == {check.__name__ for check in STORE_CONTRACT}
    assert len(STORE_CONTRACT) == len(set(STORE_CONTRACT))


def test_every_method_of_the_protocol_is_checked() -> None:
    promised = {name for base in Store.__mro__ for name in vars(base) if not name.startswith("_")} | {"write"}
    called = {
        found.attr
        for path in FOLDER.glob("*.py")
        for found in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(found, ast.Attribute)
    }
    assert promised - called == set()
