"""Pausing flows by themselves when they fail again and again."""

from __future__ import annotations

import logging

from piko_flow.planning.run_state import RunStatus
from piko_flow.store.protocols import Store

log = logging.getLogger("piko_flow.replica")


class FailingFlows:
    """The flows of which a run has just failed for good; `most` failures in a row pause a flow, 0 never."""

    def __init__(self, *, store: Store, most: int) -> None:
        self._store, self._most = store, most
        self._failed: set[str] = set()

    def failed(self, flow: str) -> None:
        """A run of the flow has failed for good: perhaps one too many in a row."""
        if self._most:
            self._failed.add(flow)

    async def pause(self) -> bool:
        """Pause the flows whose last runs have all failed; gives whether there was one."""
        paused = False
        while self._failed:
            flow, most = min(self._failed), self._most
            last = await self._store.last_statuses(flow, most)
            if len(last) == most and set(last) == {RunStatus.FAILED}:
                await self._store.pause(flow, f"paused by itself after {most} failures in a row")
                log.warning("%r is paused after %d failures in a row", flow, most)
                paused = True
            self._failed.discard(flow)
        return paused
