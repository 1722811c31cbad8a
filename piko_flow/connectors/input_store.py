"""Files open for reading, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass
from io import FileIO
from typing import Final, Protocol

from piko_flow.connectors.object_store import ObjectStore, StoreGiver, is_url, split_url


class InputFile(Protocol):
    """A file open for reading bytes."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class InputStore:
    """Opens files for reading: local ones, and objects, from a store of obstore or a function that gives one."""

    store: StoreGiver = None

    def open(self, path: str) -> InputFile:
        """The file or object. Raises OSError or ObjectStoreFailed."""
        if not is_url(path):
            return FileIO(path)
        from piko_flow.connectors.object_input import ObjectInput

        bucket, key = split_url(path)
        return ObjectInput(ObjectStore(bucket, self.store), key)


LOCAL: Final = InputStore()
