"""An object that is written whole before anybody sees it."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import Any, Final

from piko_flow.connectors.content import Content
from piko_flow.connectors.file_errors import ObjectStoreFailed
from piko_flow.connectors.object_store import PIECE, ObjectStore
from piko_flow.connectors.part_file import GZIP

LARGEST: Final = 5 * 1024**3  # bytes that S3 copies in one step


class ObjectPart:
    """An object being written, replaced if it exists; up to two pieces of an upload are on their way at a time.

    A small one is written in one step. A larger one is an upload that appears when it is finished. What has
    failed once fails again: the store has lost a piece. With `compress` the object is one gzip member.
    """

    def __init__(self, store: ObjectStore, key: str, *, compress: bool) -> None:
        self.name, self.content = key.rpartition("/")[2], Content()
        self._store, self._key = store, key
        self._waiting = bytearray()
        self._member = zlib.compressobj(wbits=GZIP) if compress else None
        self._upload: Any = None
        self._failure: Exception | None = None
        self._there = False

    @property
    def slow(self) -> bool:
        return len(self._waiting) >= PIECE

    def append(self, data: bytes) -> None:
        """Take the data, which may wait in memory. Raises ObjectStoreFailed."""
        if self.slow:
            self._flush()
        self._waiting += data

    def finish(self) -> Content:
        """Let the object be there. After an error only `discard` is left."""
        if self._member is None and self._upload is None:
            self._write_small(bytes(self._waiting))
            return self.content
        self._flush()
        if self._member is not None:
            self._write(self._member.flush())
        self._told(self._upload.close)
        self._upload, self._there = None, True
        return self.content

    def discard(self) -> None:
        """Remove the object, if it is there. Raises no error."""
        with suppress(ObjectStoreFailed):
            if self._upload is not None:
                # An upload that is finished can be removed; one that is not would stay, unseen.
                self._told(self._upload.close)
                self._upload, self._there = None, True
            if self._there:
                self._store.delete(self._key)

    def _write_small(self, data: bytes) -> None:
        self._there = True
        self._store.put(self._key, data)
        self.content = self.content.followed_by(data)

    def _flush(self) -> None:
        data = bytes(self._waiting)
        self._write(data if self._member is None else self._member.compress(data))
        self._waiting.clear()

    def _write(self, data: bytes) -> None:
        if self.content.size + len(data) > LARGEST:
            self._failure = ObjectStoreFailed(
                self._store.address(self._key),
                "an object may have 5 GiB; put {unit} into the name, or split the input",
            )
        if self._failure is not None:
            raise self._failure
        if self._upload is None:
            self._upload = self._store.writer(self._key)
        self._told(lambda: self._upload.write(data))
        self.content = self.content.followed_by(data)

    def _told(self, step: Any) -> None:
        try:
            with self._store.errors(self._key):
                step()
        except ObjectStoreFailed as error:
            self._failure = error
            raise
