"""Where a file sink puts its files: what a local folder and a prefix of an object store have in common."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from piko_flow.connectors.content import Content


class PartInUse(Exception):
    """Another sink is writing the same part at this moment."""


class PartWriter(Protocol):
    """A part being written. `content` is what has reached its place."""

    name: str
    content: Content

    @property
    def slow(self) -> bool:
        """Whether the next `append` waits for a network, so that it belongs on a thread."""
        ...

    def append(self, data: bytes) -> None:
        """Take the data, which may wait in memory. Raises OSError or ObjectStoreFailed."""

    def finish(self) -> Content:
        """Make everything last. After an error only `discard` is left."""
        ...

    def discard(self) -> None:
        """Remove the part, if that has not been done. Raises no error."""


class Place(Protocol):
    """A folder. Names are relative to it and may lead into folders below. All calls block.

    Calls raise OSError (a local folder) or ObjectStoreFailed; each may be repeated.
    """

    address: str

    @property
    def remote(self) -> bool:
        """Whether every call waits for a network, so that it belongs on a thread."""
        ...

    def fault(self, target: str) -> str:
        """Why nothing may be published under this name; empty if it may."""
        ...

    def begin(self, name: str, *, run: str, sink: str, compress: bool) -> PartWriter:
        """A new part, in the place of one with its name. Raises PartInUse when another sink is writing it."""
        ...

    def names(self, under: str = "") -> list[str]:
        """The names of the files in the folder `under`, not of those in folders below it."""
        ...

    def size(self, name: str) -> int | None:
        """The bytes of a file; None if there is none."""

    def publish(self, name: str, target: str) -> None:
        """Let the file be seen under its target's name, in one step, instead of what was seen there."""

    def join(self, name: str, opening: bytes, parts: Sequence[str]) -> None:
        """Write the opening and then the content of the parts to a file that lasts."""

    def holds(self, name: str, opening: bytes, contents: Sequence[Content]) -> bool:
        """Whether a file consists of the opening and these contents, in this order, and nothing else."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""

    def settle(self, targets: Sequence[str]) -> None:
        """Make what was published and removed last."""

    def agree(self, name: str, text: str) -> str:
        """The text that whoever came first has given under this name, in whatever process."""
        ...

    def hold(self, name: str) -> AbstractContextManager[object]:
        """Keep the file in use until the block ends or its process has died."""
        ...

    def in_use(self, name: str) -> bool:
        """Whether somebody writes or holds the file at this moment."""
        ...

    def leave(self) -> None:
        """Remove the folders that `begin` had to make, up to one that has something in it."""
