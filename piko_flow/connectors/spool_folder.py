"""Where the files of a spool lie, and which of them dead processes have left."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from piko_flow.connectors.spool_errors import BrokenSpool, SpoolUnavailable
from piko_flow.connectors.spool_file import (
    BROKEN,
    COMPANIONS,
    SUFFIX,
    InUse,
    SpoolFile,
    Totals,
    open_file,
)

_PRIVATE: Final = 0o700
_LONGEST: Final = 100  # characters of a spool's name that its folder has at least


def state_home() -> Path | None:
    """The folder in which a user's programs keep what must outlive them; None for a user without a home.

    It is `piko-flow` in `$XDG_STATE_HOME`, or in ~/.local/state.
    """
    given = os.environ.get("XDG_STATE_HOME", "")
    try:
        base = Path(given) if given.startswith("/") else Path("~/.local/state").expanduser()
    except RuntimeError:
        return None
    return base / "piko-flow"


def folder_name(name: str) -> str:
    """The spool's name as the name of a folder: different names give different folders."""
    plain = re.sub(
        r"[^A-Za-z0-9_-]", lambda found: "".join(f"%{byte:02x}" for byte in found[0].encode()), name
    )
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}%{sha256(name.encode()).hexdigest()[:16]}"


def make_private(folder: Path) -> None:
    """Make the folder, with all above it that is missing, for this user alone. Raises SpoolUnavailable."""
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(_PRIVATE, exist_ok=True)
        state = folder.stat()
    except OSError as error:
        raise SpoolUnavailable(str(folder), error.strerror or str(error)) from error
    if state.st_uid != os.geteuid():
        raise SpoolUnavailable(str(folder), "it belongs to another user")
    if state.st_mode & 0o022:
        raise SpoolUnavailable(str(folder), "other users may write in it; take that right away: chmod go-w")


class LeftFiles:
    """Finds what dead processes left in a folder, each file once."""

    def __init__(self, folder: Path, *, owner: str) -> None:
        self._folder, self._owner = folder, owner
        self.strange: dict[str, str] = {}
        """Files that are not used, and why."""
        self._foreign: set[Path] = set()

    def adopt(self, known: set[Path]) -> list[tuple[SpoolFile, Totals | BrokenSpool]]:
        """Open those that nobody uses; what is no database is set aside, and no file of another owner is touched.

        Gives with each what it holds, or why that cannot be told.
        """
        _remove_remains(self._folder)
        adopted = []
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path not in known and path not in self._foreign:
                found = self._opened(path)
                if found is not None:
                    adopted.append(found)
        return adopted

    def set_aside(self, path: Path, reason: str) -> None:
        """Rename a file, so that nobody reads it again before a person has looked at it."""
        for ending in ("", "-wal"):
            found = path.with_name(path.name + ending)
            if found.exists():
                found.rename(found.with_name(path.name + BROKEN + ending))
        self.strange[str(path) + BROKEN] = reason

    def already_aside(self) -> None:
        """Look for files that earlier processes have set aside."""
        for path in self._folder.glob(f"*{SUFFIX}{BROKEN}"):
            self.strange.setdefault(str(path), "set aside by an earlier process")

    def _opened(self, path: Path) -> tuple[SpoolFile, Totals | BrokenSpool] | None:
        try:
            file = open_file(path)
        except InUse:
            return None
        except BrokenSpool as error:
            self.set_aside(path, error.reason)
            return None
        except SpoolUnavailable as error:
            self.strange[str(path)] = error.reason
            return None
        try:
            owner = file.about().get("owner", "")
            if owner and self._owner and owner != self._owner:
                self._foreign.add(path)
                self.strange[str(path)] = f"it belongs to another application, whose ledger is {owner}"
                file.leave()
                return None
            self.strange.pop(str(path), None)  # what kept it from being opened before is over
            return file, file.checked_totals()
        except BrokenSpool as error:
            return file, error


def _remove_remains(folder: Path) -> None:
    """Remove what is left of files whose process died while it removed them: the file itself goes first."""
    for ending in COMPANIONS:
        for path in folder.glob(f"*{SUFFIX}{ending}"):
            if not path.with_name(path.name.removesuffix(ending)).exists():
                path.unlink(missing_ok=True)
