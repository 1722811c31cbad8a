"""The calls of an object store, with its errors in our words; needs the extra `objects`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, TypeAlias

from piko_flow.connectors.file_errors import ObjectStoreFailed

StoreGiver: TypeAlias = Any
"""A store of obstore, a function that gives one, or None."""

PIECE: Final = 5 * 1024 * 1024  # bytes of a piece of an upload; S3 takes no smaller ones but the last
AT_ONCE: Final = 2  # pieces on their way at the same time
_QUERY: Final = re.compile(r"(?<=[^\s?])\?\S+")  # of a URL: it may hold a signature
_URL: Final = re.compile(r"(?P<bucket>[a-z][a-z0-9+.-]*://[^/]*)(?:/(?P<key>.*))?", re.DOTALL)


def is_url(path: object) -> bool:
    """Whether a path is the URL of an object."""
    return isinstance(path, str) and _URL.fullmatch(path) is not None


def split_url(url: str) -> tuple[str, str]:
    """The URL of the bucket, and the key in it."""
    found = _URL.fullmatch(url)
    assert found is not None
    return found["bucket"], found["key"] or ""


def url_fault(url: str, store: StoreGiver) -> tuple[str, str]:
    """The rule that a URL or a store breaks, and what came; empty texts if none."""
    bucket, key = split_url(url)
    account = bucket.partition("://")[2].rpartition("@")[0]
    if ":" in account:
        return (
            "an object's URL has no password; give store= or set the environment",
            "got one with a password",
        )
    if not key or "{" in bucket or any(piece in ("", ".", "..") for piece in key.split("/")):
        return "an object's URL is scheme://bucket/key, without empty pieces", f"got {url}"
    if (
        store is not None
        and not callable(store)
        and not hasattr(store, "prefix")
        and "obstore" not in type(store).__module__
    ):
        return "store must be a store of obstore, or a function that gives one", f"got {type(store).__name__}"
    return "", ""


class ObjectStore:
    """One store's calls, by key. All block, may be repeated, and raise ObjectStoreFailed with the object's address."""

    def __init__(self, bucket: str, store: StoreGiver) -> None:
        self.bucket = bucket
        with self.errors(""):
            if callable(store):
                store = store()
            if store is None:
                from obstore.store import from_url

                store = from_url(bucket)
        self._store = store

    def address(self, key: str) -> str:
        """The URL of an object."""
        return f"{self.bucket}/{key}"

    def put(self, key: str, data: bytes) -> None:
        """Write an object, in one step."""
        import obstore

        with self.errors(key):
            obstore.put(self._store, key, data, use_multipart=False)

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one; False if there was."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with self.errors(key):
            try:
                obstore.put(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
            return True

    def writer(self, key: str) -> Any:
        """An object to write in pieces; it appears as a whole when the writer is closed."""
        import obstore

        return obstore.open_writer(self._store, key, buffer_size=PIECE, max_concurrency=AT_ONCE)

    def copy(self, key: str, to: str) -> None:
        """Let the store copy an object over another, in one step."""
        import obstore

        with self.errors(key):
            obstore.copy(self._store, key, to)

    def delete(self, key: str) -> None:
        """Remove an object, if there is one."""
        import obstore

        with self.errors(key):
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                pass

    def head(self, key: str) -> dict[str, Any] | None:
        """What the store knows of an object: `size`, `e_tag`, `last_modified`; None if there is none."""
        import obstore

        with self.errors(key):
            try:
                found: Any = obstore.head(self._store, key)
            except FileNotFoundError:
                return None
            return dict(found)

    def range(self, key: str, start: int, end: int, e_tag: str | None) -> bytes | None:
        """The bytes from `start` to before `end`; None if the object is gone or is no longer the one with the tag."""
        import obstore
        from obstore.exceptions import PreconditionError

        options: Any = {"range": (start, end)}
        if e_tag is not None:
            options["if_match"] = e_tag
        with self.errors(key):
            try:
                return bytes(obstore.get(self._store, key, options=options).bytes())
            except (FileNotFoundError, PreconditionError):
                return None

    def names(self, folder: str) -> list[str]:
        """The names of the objects right below a folder."""
        import obstore

        with self.errors(folder):
            found = obstore.list_with_delimiter(self._store, folder or None)
            return [one["path"].rpartition("/")[2] for one in found["objects"]]

    def keys(self, folder: str) -> Iterator[str]:
        """The keys of all objects below a folder, at any depth."""
        import obstore

        with self.errors(folder):
            for some in obstore.list(self._store, folder or None):
                yield from (one["path"] for one in some)

    def modified(self, key: str) -> datetime | None:
        """When the object was written last; None if there is none."""
        found = self.head(key)
        return None if found is None else found["last_modified"]

    @contextmanager
    def errors(self, key: str) -> Iterator[None]:
        """Say what the store said, in one line; the rest of it is for those who debug obstore."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            said = _QUERY.sub("?...", str(error).strip().partition("\n")[0])
            raise ObjectStoreFailed(self.address(key), f"{type(error).__name__}: {said:.500}") from None
