"""Pausing flows by themselves when they fail again and again."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from piko_flow.control.leader.reconciler import Reconciler
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.protocols import Store

log = logging.getLogger("piko_flow.replica")


class Rules(Protocol):
    """The replica whose runs fail."""

    @property
    def reconciler(self) -> Reconciler | None:
        """What puts rows in force; None where another replica leads."""

    def look_at_rows(self) -> None: ...


class FailingFlows:
    """The flows of which a run has just failed for good; `most` failures in a row pause a flow, 0 never."""

    def __init__(self, *, store: Store, most: int, replica: Rules) -> None:
        self._store, self._most, self._replica = store, most, replica
        self._failed: set[str] = set()
        self._looking = asyncio.Lock()

    def failed(self, flow: str) -> None:
        """A run of the flow has failed for good: perhaps one too many in a row."""
        if self._most:
            self._failed.add(flow)

    async def pause(self) -> None:
        """Pause the flows whose last runs have all failed; when it returns, this replica plans no fire of them.

        Where another replica leads, that one sees it when it compares rows. A flow that is paused already is
        left so, and logged no second time. Raises StoreUnavailable, and the flows are looked at again.
        """
        if not self._failed:
            return
        async with self._looking:
            while self._failed:
                flow = min(self._failed)
                await self._look_at(flow)
                self._failed.discard(flow)

    async def _look_at(self, flow: str) -> None:
        most = self._most
        last = await self._store.last_statuses(flow, most)
        if len(last) < most or set(last) != {RunStatus.FAILED}:
            return
        why = f"paused by itself after {most} failures in a row"
        if await self._store.pause(flow, why):
            log.warning("%r is paused after %d failures in a row", flow, most)
        if (reconciler := self._replica.reconciler) is not None:
            reconciler.paused(flow, why)
        self._replica.look_at_rows()
