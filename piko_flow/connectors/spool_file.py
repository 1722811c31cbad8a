"""One file of a spool: an SQLite database of lists, used by one process at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4
from zlib import crc32

import orjson

from piko_flow.connectors.spool_errors import BrokenSpool, SpoolUnavailable
from piko_flow.connectors.spool_items import Kept
from piko_flow.errors import describe_error

SUFFIX: Final = ".spool"
BROKEN: Final = ".broken"
COMPANIONS: Final = ("-wal", "-shm", "-journal")
_FORMAT: Final = 1
_PAGE: Final = 8192  # bytes; lists are long, and each page of the log costs a checksum
_CHECKPOINT: Final = 8000  # pages of the log, 64 MB, before it is written back
_SCHEMA: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE list (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, items INTEGER NOT NULL, flow TEXT NOT NULL, run TEXT NOT NULL,
    stage TEXT NOT NULL, accepted_at REAL NOT NULL, keys TEXT, tries INTEGER NOT NULL, crc INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE letter (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, flow TEXT NOT NULL, run TEXT NOT NULL,
    stage TEXT NOT NULL, failed_at REAL NOT NULL, error_type TEXT NOT NULL, error TEXT NOT NULL, behind TEXT NOT NULL,
    crc INTEGER NOT NULL, body BLOB NOT NULL
);
"""
_DAMAGED: Final = tuple(
    f"SQLITE_{end}" for end in ("CORRUPT", "NOTADB", "ERROR", "SCHEMA", "IOERR_SHORT_READ")
)
_MISREAD: Final = (ValueError, TypeError, OverflowError)  # of texts and numbers that are not what was written
_ADD: Final = "INSERT INTO list VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NEXT: Final = "SELECT * FROM list WHERE number > ? AND NOT coalesce(tries > 0, 0) ORDER BY number"
_WAITING: Final = (
    "SELECT coalesce(sum(items), 0), coalesce(sum(length(body)), 0), coalesce(sum(tries > 0), 0) FROM list"
)
_LETTERS: Final = "SELECT count(*), coalesce(sum(length(body)), 0) FROM letter"
_ASTRAY: Final = "SELECT 1 FROM list WHERE number IS NULL UNION ALL SELECT 1 FROM letter WHERE number IS NULL"
_ADD_LETTER: Final = "INSERT INTO letter VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who wrote a list: the flow, its run, and the sink in it; empty texts for none."""

    flow: str = ""
    run: str = ""
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A list as the file holds it; `number` is unique in the file for ever.

    `keys` are those that the items were given, or None: then an item's key is made of file, number and place.
    `tries` counts how often its one item failed alone; 0 for a list that did not.
    """

    number: int
    kept: Kept
    origin: Origin
    accepted_at: float
    keys: tuple[str, ...] | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Letter:
    """An item that failed for good, as the file holds it until somebody takes it.

    `behind` is the stage behind the spool that it failed at, where others had made it of what was accepted.
    """

    kept: Kept
    key: str
    origin: Origin
    failed_at: float
    error_type: str
    error: str
    behind: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """What a file holds: items and bytes that wait, how many of the items failed alone, dead letters and their bytes."""

    items: int
    bytes: int
    failing: int
    letters: int
    letter_bytes: int


class InUse(Exception):
    """Another process, or another spool of this one, has the file open."""


class SpoolFile:
    """Lists in the order in which they were added, each kept until it is removed.

    Every change is one transaction, and is on the disk when it returns. Belongs to one thread at a time. Raises
    SpoolUnavailable where the disk does not take a change (then nothing was changed) and BrokenSpool where the
    file is damaged.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self._connection = path, connection
        (highest,) = connection.execute("SELECT coalesce(max(number), 0) FROM list").fetchone()
        self._number: int = highest

    @property
    def name(self) -> str:
        """What the keys of its items begin with."""
        return self.path.name.removesuffix(SUFFIX)

    def add(
        self, kept: Kept, origin: Origin, accepted_at: float, keys: Sequence[str] | None, tries: int = 0
    ) -> int:
        """Add a list inside of `changing`; gives its number."""
        self._number += 1
        given = None if keys is None else orjson.dumps(keys).decode()
        whose = (origin.flow, origin.run, origin.stage)
        values = (self._number, kept.kind, kept.items, *whose, accepted_at, given, tries)
        self._connection.execute(_ADD, (*values, _crc(values, kept.body), kept.body))
        return self._number

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove lists inside of `changing`."""
        self._connection.executemany("DELETE FROM list WHERE number = ?", [(number,) for number in numbers])

    def add_letter(self, letter: Letter) -> None:
        """Keep a dead letter inside of `changing`."""
        origin = letter.origin
        whose = (letter.kept.kind, letter.key, origin.flow, origin.run, origin.stage, letter.failed_at)
        values, body = (*whose, letter.error_type, letter.error, letter.behind), letter.kept.body
        self._connection.execute(_ADD_LETTER, (*values, _crc(values, body), body))

    def remove_letters(self, numbers: Sequence[int]) -> None:
        """Remove dead letters inside of `changing`."""
        self._connection.executemany("DELETE FROM letter WHERE number = ?", [(number,) for number in numbers])

    def rows_after(self, number: int, *, items: int, alike: bool = False) -> list[Row]:
        """The next lists that never failed alone, as many as have that many items together, but at least one.

        With `alike` all of them are of one origin.
        """
        with _reading(self.path):
            found = self._connection.execute(_NEXT, (number,))
            return some_of(map(self._row, found), items=items, alike=alike)

    def readable_rows(self) -> Iterator[Row]:
        """All lists of a damaged file that can still be read, in order."""
        for number in range(self._lowest(), self._number + 1):
            with suppress(BrokenSpool), _reading(self.path):
                found = self._connection.execute("SELECT * FROM list WHERE number = ?", (number,))
                yield from map(self._row, found)

    def _lowest(self) -> int:
        try:
            with _reading(self.path):
                (lowest,) = self._connection.execute("SELECT coalesce(min(number), 1) FROM list").fetchone()
        except BrokenSpool:
            return 1
        return int(lowest)

    def failed_rows(self, *, limit: int) -> list[Row]:
        """The lists of one item that failed alone, those that did so least often first."""
        asked = "SELECT * FROM list WHERE tries > 0 ORDER BY tries, number LIMIT ?"
        with _reading(self.path):
            return list(map(self._row, self._connection.execute(asked, (limit,))))

    def letters(self, *, limit: int) -> list[Letter]:
        """The oldest dead letters."""
        return self._letters_where("true ORDER BY number LIMIT ?", limit)

    def readable_letters(self) -> Iterator[Letter]:
        """All dead letters of a damaged file that can still be read, the oldest first."""
        with suppress(BrokenSpool), _reading(self.path):
            (highest,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM letter").fetchone()
            for number in range(1, highest + 1):
                with suppress(BrokenSpool):
                    yield from self._letters_where("number = ?", number)

    def _letters_where(self, condition: str, value: int) -> list[Letter]:
        with _reading(self.path):
            found = self._connection.execute(f"SELECT * FROM letter WHERE {condition}", (value,))
            return list(map(self._letter, found))

    def checked_totals(self) -> Totals:
        """How much there is. Rows out of order or without a number would be counted and never found: that is damage."""
        with _reading(self.path):
            (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            if found == "ok" and self._connection.execute(_ASTRAY).fetchone():
                found = "rows have no number"
        if found != "ok":
            raise BrokenSpool(str(self.path), str(found))
        return self.totals()

    def totals(self) -> Totals:
        """How much there is, by reading all of it."""
        with _reading(self.path):
            items, size, failing = self._connection.execute(_WAITING).fetchone()
            letters, letter_size = self._connection.execute(_LETTERS).fetchone()
        return Totals(items, size, failing, letters, letter_size)

    def oldest(self) -> float | None:
        """When the oldest list was accepted; None where there is none."""
        with _reading(self.path):
            row = self._connection.execute("SELECT accepted_at FROM list ORDER BY number LIMIT 1").fetchone()
        return None if row is None else float(row[0])

    def about(self) -> dict[str, str]:
        """What the file says of itself."""
        with _reading(self.path):
            return dict(self._connection.execute("SELECT name, value FROM about").fetchall())

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One transaction: on the disk when the block has ended, and rolled back when anything is raised."""
        number = self._number
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error, UnicodeDecodeError):  # after some errors it was rolled back already
                self._connection.execute("ROLLBACK")
            self._number = number
            if isinstance(error, (sqlite3.Error, UnicodeDecodeError)):
                raise told(error, self.path) from error
            raise

    def close(self) -> None:
        """Close the file, and remove it where it holds nothing."""
        with suppress(BrokenSpool, sqlite3.Error):
            if self.totals() == Totals(0, 0, 0, 0, 0):
                # Before the lock is gone, so that nobody opens it in between.
                self.path.unlink(missing_ok=True)
        with suppress(sqlite3.Error):
            self._connection.close()
        if not self.path.exists():
            _remove_companions(self.path)

    def leave(self) -> None:
        """Close the file and change nothing."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def destroy(self) -> None:
        """Remove the file with all that it holds; needs no room on the disk."""
        self.path.unlink(missing_ok=True)
        with suppress(sqlite3.Error):
            self._connection.close()
        _remove_companions(self.path)

    def _row(self, values: tuple[object, ...]) -> Row:
        number, kind, items, flow, run, stage, accepted_at, keys, tries, crc, body = values
        if not isinstance(body, bytes) or _crc(values[:-2], body) != crc:
            raise BrokenSpool(str(self.path), f"list {number} is not what was written")
        kept = Kept(str(kind), body, int(str(items)))
        given = None if keys is None else tuple(orjson.loads(str(keys)))
        origin = Origin(str(flow), str(run), str(stage))
        return Row(int(str(number)), kept, origin, float(str(accepted_at)), given, int(str(tries)))

    def _letter(self, values: tuple[Any, ...]) -> Letter:
        number, kind, key, flow, run, stage, failed_at, error_type, error, behind, crc, body = values
        if not isinstance(body, bytes) or _crc(values[1:-2], body) != crc:
            raise BrokenSpool(str(self.path), f"dead letter {number} is not what was written")
        origin = Origin(flow, run, stage)
        return Letter(Kept(kind, body, 1), key, origin, failed_at, error_type, error, behind, number)


def some_of(rows: Iterable[Row], *, items: int, alike: bool) -> list[Row]:
    """The first of them, as many as have that many items together, but at least one; `alike` of one origin."""
    some: list[Row] = []
    for row in rows:
        items -= row.kept.items
        if some and (items < 0 or (alike and row.origin != some[0].origin)):
            break
        some.append(row)
    return some


def create_file(folder: Path, *, owner: str) -> SpoolFile:
    """A new, empty file that only this process uses. Raises SpoolUnavailable."""
    path = folder / f"{uuid4().hex}{SUFFIX}"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = _connected(path)
        _make_tables(connection, owner)
        return SpoolFile(path, connection)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            _remove_companions(path)
        raise SpoolUnavailable(str(folder), _reason(error)) from error


def open_file(path: Path) -> SpoolFile:
    """A file that another process has left. Raises InUse, BrokenSpool, SpoolUnavailable."""
    with _reading(path):
        connection = _connected(path)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > _FORMAT:
                raise BrokenSpool(str(path), f"it has format {version}, this version reads up to {_FORMAT}")
            if version == 0:
                _finish_creating(path, connection)
            return SpoolFile(path, connection)
        except BaseException:
            connection.close()
            raise


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What the database raises while it reads, in our words; its messages quote what is damaged, decoded or not."""
    try:
        yield
    except sqlite3.Error as error:
        raise told(error, path) from error
    except _MISREAD as error:
        raise BrokenSpool(str(path), describe_error(error)) from error


def _crc(values: Sequence[Any], body: bytes) -> int:
    """The checksum of a whole row."""
    return crc32(body, crc32(repr(tuple(values)).encode(errors="surrogatepass")))


def told(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> Exception:
    """The error of the database in our words."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return InUse(str(path))
    if name.startswith(_DAMAGED) or not name:
        return BrokenSpool(str(path), _reason(error))
    return SpoolUnavailable(str(path), _reason(error))


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        # The lock is taken by the first statement that reads, and kept until the process closes the file or dies.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"PRAGMA page_size = {_PAGE}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _finish_creating(path: Path, connection: sqlite3.Connection) -> None:
    """A process that died while it made the file left an empty database."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables:
        raise BrokenSpool(str(path), "it is no spool")
    _make_tables(connection, owner="")


def _make_tables(connection: sqlite3.Connection, owner: str) -> None:
    """The tables and whose they are, in one transaction: a file that has tables has an owner, or belongs to nobody."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute("INSERT INTO about VALUES ('owner', ?)", (owner,))
    connection.execute(f"PRAGMA user_version = {_FORMAT}")
    connection.execute("COMMIT")


def _remove_companions(path: Path) -> None:
    for ending in COMPANIONS:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    name = getattr(error, "sqlite_errorname", "")
    return f"{error} ({name})" if name else str(error)
