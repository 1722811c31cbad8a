"""A file that is written whole before anybody sees it."""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from piko_flow.connectors.content import COPIED, Content, consists_of
from piko_flow.connectors.file_errors import with_path
from piko_flow.connectors.place import PartInUse

HELD: Final = 64 * 1024  # bytes kept in memory before they are compressed and written
GZIP: Final = 31  # zlib: a gzip header and checksum around the data; the header has no time in it


class PartFile:
    """A file being written, replaced if it exists; `content` is what is in the file.

    `append` takes all of its data or none: after an error of the operating system (a full disk) the
    file is as it was before, and the call can be tried again. The file is locked while it is open, so two
    sinks cannot share it. With `compress` the file is one gzip member, the same for the same input.
    """

    slow = False

    def __init__(self, path: Path, *, compress: bool) -> None:
        self.path, self.name, self.content = path, path.name, Content()
        self._waiting = bytearray()
        self._member = zlib.compressobj(wbits=GZIP) if compress else None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.truncate(self._file, 0)
        except BlockingIOError:
            os.close(self._file)
            raise PartInUse(str(path)) from None
        except OSError:
            os.close(self._file)
            raise

    def append(self, data: bytes) -> None:
        """Take the data, which may wait in memory. Raises OSError with the path."""
        if len(self._waiting) >= HELD:
            self._flush()
        self._waiting += data

    def finish(self) -> Content:
        """Bring everything to the disk and close. After an OSError, which has the path, only `discard` is left."""
        self._flush()
        if self._member is not None:
            self._write(self._member.flush())
        try:
            os.fsync(self._file)
        except OSError as error:
            raise with_path(error, str(self.path)) from error
        self._close()
        return self.content

    def discard(self) -> None:
        """Close and remove the file, if that has not been done. Raises no error."""
        self._close()
        with suppress(OSError):
            self.path.unlink()

    def _flush(self) -> None:
        before = self._member.copy() if self._member is not None else None
        data = bytes(self._waiting) if self._member is None else self._member.compress(self._waiting)
        try:
            self._write(data)
        except OSError:
            self._member = before
            raise
        self._waiting.clear()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            os.truncate(self._file, self.content.size)
            os.lseek(self._file, self.content.size, os.SEEK_SET)
            raise with_path(error, str(self.path)) from error
        self.content = self.content.followed_by(data)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def compressed(data: bytes) -> bytes:
    """The data as one gzip member."""
    member = zlib.compressobj(wbits=GZIP)
    return member.compress(data) + member.flush()


def in_use(path: Path) -> bool:
    """Whether somebody is writing the file at this moment."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def join_files(target: Path, opening: bytes, parts: Sequence[Path]) -> None:
    """Write the opening and then the content of the parts into the target, and bring it to the disk."""
    with target.open("wb") as joined:
        joined.write(opening)
        for part in parts:
            with part.open("rb") as content:
                while data := content.read(COPIED):
                    joined.write(data)
        joined.flush()
        os.fsync(joined.fileno())


def holds(path: Path, opening: bytes, contents: Sequence[Content]) -> bool:
    """Whether the file consists of the opening and these contents, in this order, and nothing else."""
    try:
        with path.open("rb") as file:
            return consists_of(file.read, path.stat().st_size, opening, contents)
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Make renamed and removed names in the folder last."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
