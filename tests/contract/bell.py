"""Signals between a test and the stages it runs, in whatever process these are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 120.0  # seconds before a test gives up waiting


class Bell:
    """Rung by one process and heard by another, once for each ring; it can be pickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def ring(self, times: int = 1) -> None:
        """Ring without waiting. Whoever waits now or later hears it."""
        pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        os.write(pipe, b"!" * times)
        os.close(pipe)

    async def heard(self) -> None:
        """Wait for one ring. Raises TimeoutError when none comes for long."""
        pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        loop, rung = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(pipe, rung.set)
        try:
            async with asyncio.timeout(PATIENCE):
                await rung.wait()
            os.read(pipe, 1)
        finally:
            loop.remove_reader(pipe)
            os.close(pipe)


@contextmanager
def hung_bell(path: Path) -> Iterator[Bell]:
    """A bell that remembers its rings while the block is open."""
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield Bell(str(path))
    finally:
        os.close(pipe)


def note(path: Path, line: str) -> None:
    """Append a line to a file that several processes write."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{line}\n".encode())
    os.close(file)


def notes(path: Path) -> list[str]:
    """The lines of such a file, none if it was never written."""
    return path.read_text().splitlines() if path.exists() else []
