"""A sign beside a target that a run lives, so that nobody sweeps away what it has prepared."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType


class RunHold:
    """A locked file, from when it is made to the end of the block; a process that dies lets go of it by itself.

    The folders that are missing are made, and removed at the end if nothing else is in them. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._made = make_folders(path.parent)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def __enter__(self) -> RunHold:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._file)
        remove_folders(self._made)


def make_folders(folder: Path) -> list[Path]:
    """Make the folder with all above it; gives those that were missing, the outermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def remove_folders(made: list[Path]) -> None:
    """Remove folders that were made, the innermost first, up to one that has something in it."""
    with suppress(OSError):  # it is gone, or somebody else uses it
        for folder in reversed(made):
            folder.rmdir()
