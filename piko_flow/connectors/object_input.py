"""An object read as a file, in bounded memory."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Final

from piko_flow.connectors.object_store import ObjectStore

READ: Final = 4 * 1024 * 1024  # bytes asked for at once: each request costs a round trip


class ObjectInput:
    """An object open for reading; what is read is what it was when it was opened, or an OSError.

    Raises FileNotFoundError when there is none.
    """

    closed = False

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store, self._key = store, key
        found = store.head(key)
        if found is None:
            raise FileNotFoundError(2, "there is no such object", store.address(key))
        self.size: int = found["size"]
        self._tag: str | None = found["e_tag"]
        self._at = self._first = 0
        self._held = b""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, empty at the end."""
        wanted = self.size - self._at if size < 0 else min(size, self.size - self._at)
        if wanted <= 0:
            return b""
        start = self._at - self._first
        if not 0 <= start < len(self._held) or start + wanted > len(self._held):
            end = min(self._at + max(wanted, READ), self.size)
            self._fetch(self._at, end)
            start = 0
        self._at += wanted
        return self._held[start : start + wanted]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the object; gives it, from the start."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """Let go of what is held in memory."""
        self._held, self.closed = b"", True

    def __enter__(self) -> ObjectInput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fetch(self, start: int, end: int) -> None:
        data = self._store.range(self._key, start, end, self._tag)
        if data is None or len(data) != end - start:
            raise OSError(5, "the object was replaced while it was read", self._store.address(self._key))
        self._held, self._first = data, start
