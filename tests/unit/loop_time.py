"""An event loop whose time a test moves on: a timeout is over when the test says so, on the slowest machine, too."""

from __future__ import annotations

import asyncio

import pytest


class LoopTime:
    """The time of the running loop, which goes on as ever and leaps where it is told to.

    What has to come within a timeout may take as long as the timeout says; what has to come too late needs no wait.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self._time, self._ahead = self._loop.time, 0.0
        monkeypatch.setattr(self._loop, "time", lambda: self._time() + self._ahead)

    def leap(self, seconds: float) -> None:
        """From any thread: let so many seconds be over when the loop has its next turn."""
        self._loop.call_soon_threadsafe(self._leapt, seconds)

    def _leapt(self, seconds: float) -> None:
        self._ahead += seconds
