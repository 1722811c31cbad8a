"""What every store promises, as checks that run against any store; each check wants an empty one.

A suite for a store of your own is one test::

    class MyStores:
        def __init__(self, folder: Path) -> None: ...
        def open(self) -> AbstractAsyncContextManager[Store]: ...
        async def edit(self, row: ScheduleRecord | ConfigRecord) -> None: ...

    @pytest.mark.parametrize("check", STORE_CONTRACT, ids=lambda check: check.__name__)
    async def test_my_store_keeps_its_promises(check: Check, tmp_path: Path) -> None:
        await check(MyStores(tmp_path))

A check raises AssertionError where a promise is broken. Call
`pytest.register_assert_rewrite("piko_flow.testing.store_contract")` first to see the values.
"""

from __future__ import annotations

from piko_flow.testing.store_contract.checks import STORE_CONTRACT
from piko_flow.testing.store_contract.memory import MemoryStores
from piko_flow.testing.store_contract.scene import Check, StoreUnderTest

__all__ = ["STORE_CONTRACT", "Check", "MemoryStores", "StoreUnderTest"]
