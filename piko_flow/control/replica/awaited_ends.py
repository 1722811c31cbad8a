"""Waiting for the end of a run."""

from __future__ import annotations

import asyncio

from piko_flow.store.batch import Ending


class AwaitedEnds:
    """Who waits for the end of which run of this replica."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[asyncio.Future[Ending | None]]] = {}

    async def of(self, run: int) -> Ending | None:
        """The run's end, when it has been written; None when it was taken from this replica."""
        told: asyncio.Future[Ending | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(run, []).append(told)
        try:
            return await told
        finally:
            if told in (others := self._waiting.get(run, [])):
                others.remove(told)

    def tell(self, run: int, ending: Ending | None) -> None:
        """The run has ended so, or (None) is not this replica's any more."""
        for told in self._waiting.pop(run, ()):
            if not told.done():
                told.set_result(ending)
