"""A prefix of an object store as the place of a sink's files."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from types import TracebackType
from typing import Final

from piko_flow.clock import now
from piko_flow.connectors.content import COPIED, Content, consists_of
from piko_flow.connectors.extras import require_extra
from piko_flow.connectors.file_errors import ObjectStoreFailed
from piko_flow.connectors.object_input import ObjectInput
from piko_flow.connectors.object_part import ObjectPart
from piko_flow.connectors.object_store import ObjectStore, StoreGiver, split_url
from piko_flow.connectors.place import PartInUse

RENEWED: Final = 60.0  # seconds between two signs that a run lives
BELIEVED: Final = timedelta(minutes=10)  # how long one sign is believed: several may fail before


class ObjectPlace:
    """Keys with one prefix: publishing is a copy by the store, and a run's own object tells that it lives."""

    remote = True

    def __init__(self, address: str, store: ObjectStore) -> None:
        self.address, self._store = address, store
        self._folder = split_url(address)[1]

    def fault(self, target: str) -> str:
        return ""

    def begin(self, name: str, *, run: str, sink: str, compress: bool) -> ObjectPart:
        if self.agree(run, sink) != sink:
            raise PartInUse
        return ObjectPart(self._store, self._key(name), compress=compress)

    def names(self, under: str = "") -> list[str]:
        return self._store.names(self._key(under))

    def size(self, name: str) -> int | None:
        found = self._store.head(self._key(name))
        return None if found is None else found["size"]

    def publish(self, name: str, target: str) -> None:
        self._store.copy(self._key(name), self._key(target))
        self._store.delete(self._key(name))

    def join(self, name: str, opening: bytes, parts: Sequence[str]) -> None:
        joined = ObjectPart(self._store, self._key(name), compress=False)
        joined.append(opening)
        for part in parts:
            with ObjectInput(self._store, self._key(part)) as content:
                while data := content.read(COPIED):
                    joined.append(data)
        joined.finish()

    def holds(self, name: str, opening: bytes, contents: Sequence[Content]) -> bool:
        try:
            with ObjectInput(self._store, self._key(name)) as content:
                return consists_of(content.read, content.size, opening, contents)
        except FileNotFoundError:
            return False

    def remove(self, name: str) -> None:
        self._store.delete(self._key(name))

    def settle(self, targets: Sequence[str]) -> None:
        """Nothing to do: what a store has said lasts."""

    def agree(self, name: str, text: str) -> str:
        key = self._key(name)
        if self._store.create(key, text.encode()):
            return text
        with ObjectInput(self._store, key) as found:
            return found.read(COPIED).decode()

    def hold(self, name: str) -> AbstractContextManager[object]:
        return ObjectHold(self._store, self._key(name))

    def in_use(self, name: str) -> bool:
        if not name.endswith("-held.part"):
            return False
        written = self._store.modified(self._key(name))
        return written is not None and now() - written < BELIEVED

    def leave(self) -> None:
        """Nothing to do: stores have no folders."""

    def _key(self, name: str) -> str:
        return f"{self._folder}/{name}".strip("/")


class ObjectHold:
    """An object that is written anew each minute while the block is open; ten minutes after the last it says nothing."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store, self._key = store, key
        store.put(key, b"")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="piko-flow hold")
        self._thread.start()

    def __enter__(self) -> ObjectHold:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(ObjectStoreFailed):  # what is left of it is swept when it is believed no more
            self._store.delete(self._key)

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED):
            with suppress(ObjectStoreFailed):  # the sign before is still believed
                self._store.put(self._key, b"")


def object_place(address: str, store: StoreGiver, what: str, where: str) -> ObjectPlace:
    """The place with this URL. Raises MissingExtra and ObjectStoreFailed."""
    require_extra("objects", "obstore", what=what, where=where)
    return ObjectPlace(address, ObjectStore(split_url(address)[0], store))
