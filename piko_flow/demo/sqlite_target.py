"""A sink target that puts rows into a table of an SQLite file, all of a run at once."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Final, Generic, TypeVar

from pydantic import BaseModel

from piko_flow.connectors.part_file import in_use
from piko_flow.connectors.run_hold import RunHold
from piko_flow.connectors.uninterrupted import on_own_thread
from piko_flow.counting import counted
from piko_flow.dataflow.stages.sink import Part, Receipt, SinkTarget
from piko_flow.errors import PikoFlowError

Row = TypeVar("Row", bound=BaseModel)

APPLICATION_ID: Final = 0x50494B4F  # "PIKO", in the header of each file made here
MOVED: Final = "piko_flow_moved_parts"
LOCKED_SECONDS: Final = 10.0
COLUMN_TYPES: Final = {"integer": "INTEGER", "number": "REAL", "boolean": "INTEGER"}


class ForeignDatabase(PikoFlowError):
    """The target file exists and was not made by this target, so nothing is written into it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} exists and was not made by Piko Flow; it is left alone. Name another file or move this one"
        )
        self.path = path


class PartLost(PikoFlowError):
    """The file of a prepared part is gone before its rows were moved into the target."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"the prepared rows in {path} are gone and are not in the target; run again")
        self.path = path


class SqliteTarget(SinkTarget[Row], Generic[Row]):
    """Writes models of one class to one table; what is there under the same key is replaced.

    Each part is written to a private file beside the target. `commit` moves the rows of all parts in one
    transaction, so readers see none or all of a run; committing again changes nothing. A later row wins
    over an earlier one of the same key. Rows that a later run no longer has stay. The columns are the
    model's fields, with dates as ISO 8601 text. Raises ForeignDatabase when the file is not one of ours.
    """

    def __init__(self, model: type[Row], path: Path, *, table: str, key: str) -> None:
        if key not in model.model_fields:
            raise ValueError(f"key must be a field of {model.__name__}, got {key!r}")
        self.model, self.path, self.table, self.key = model, path, table, key
        self.name = path.name
        self._rows: sqlite3.Connection | None = None

    async def open(self, part: Part) -> None:
        """Make the part's private file."""
        await super().open(part)
        check_ours(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self._file_of(part)
        file.unlink(missing_ok=True)
        self._rows = sqlite3.connect(file)
        # Nobody reads the file before it is whole, so there is nothing to roll back to.
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute(f"CREATE TABLE part ({', '.join(self._columns())})")

    async def write(self, items: Sequence[Row], /) -> None:
        """Add the rows to the part, in order.

        Not on a thread: a batch takes about a millisecond, and a thread could not be stopped by `abort`.
        """
        if self._rows is None:
            raise RuntimeError("write needs an open part")
        marks = ", ".join("?" for _ in self.model.model_fields)
        values = (tuple(item.model_dump(mode="json").values()) for item in items)
        self._rows.executemany(f"INSERT INTO part VALUES ({marks})", values)
        self.items += len(items)

    async def prepare(self) -> Receipt:
        """Bring the part's file to the disk and close it."""
        if self._rows is None:
            raise RuntimeError("prepare needs an open part")
        self._rows.commit()
        self._close()
        return Receipt(self.part, self.items, {"file": self._file_of(self.part).name})

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        """Move the rows of all parts into the table, in one transaction, then remove their files."""
        return await on_own_thread(lambda: self._publish(receipts))

    async def abort(self) -> None:
        """Close and remove the part's file."""
        self._close()
        if hasattr(self, "part"):
            self._file_of(self.part).unlink(missing_ok=True)

    async def lock(self, run: str) -> AbstractContextManager[object] | AbstractAsyncContextManager[object]:
        """Keep sweeps from the parts of the run while the block is open, or its process lives."""
        return RunHold(self.path.with_name(f".{self.path.name}-{run}-held.part"))

    async def sweep(self, live: Collection[Part]) -> None:
        """Remove the files of parts that are not live or of a living run, and forget that their rows were moved."""
        keep = {self._file_of(part) for part in live}
        files = list(self.path.parent.glob(f".{self.path.name}-*.part"))
        known = tuple(f".{self.path.name}-{part.run}-" for part in live)
        locks = [file for file in files if file.name.endswith("-held.part") and in_use(file)]
        held = [file.name.removesuffix("held.part") for file in locks if not file.name.startswith(known)]
        for file in files:
            if file not in keep and not file.name.startswith(tuple(held)):
                file.unlink(missing_ok=True)
        if not self.path.is_file() or not self.path.stat().st_size or not is_ours(self.path):
            return
        tokens = [part.token for part in live]
        marks = ", ".join("?" for _ in tokens)
        with closing(connect(self.path)) as target, transaction(target):
            target.execute(f"DELETE FROM {MOVED} WHERE part NOT IN ({marks})", tokens)

    def _publish(self, receipts: Sequence[Receipt]) -> list[str]:
        check_ours(self.path)
        with closing(connect(self.path)) as target:
            with transaction(target):
                self._make_tables(target)
                for receipt in receipts:
                    self._move(target, receipt)
            (rows,) = target.execute(f"SELECT count(*) FROM {quoted(self.table)}").fetchone()
        for receipt in receipts:
            self._file_of(receipt.part).unlink(missing_ok=True)
        moved = sum(receipt.items for receipt in receipts)
        line = f"{self.path}: {counted(moved, 'row')} into table {self.table}"
        return [line if rows == moved else f"{line}, which now has {rows:,}"]

    def _move(self, target: sqlite3.Connection, receipt: Receipt) -> None:
        file, token = self._file_of(receipt.part), receipt.part.token
        if target.execute(f"SELECT 1 FROM {MOVED} WHERE part = ?", (token,)).fetchone():
            return
        if not file.exists():
            raise PartLost(file)
        fields = [quoted(field) for field in self.model.model_fields]
        others = ", ".join(f"{field} = excluded.{field}" for field in fields if field != quoted(self.key))
        upsert = (
            f"INSERT INTO {quoted(self.table)} ({', '.join(fields)}) VALUES ({', '.join('?' for _ in fields)}) "
            f"ON CONFLICT ({quoted(self.key)}) DO {f'UPDATE SET {others}' if others else 'NOTHING'}"
        )
        with closing(sqlite3.connect(file)) as rows:
            target.executemany(upsert, rows.execute("SELECT * FROM part ORDER BY rowid"))
        target.execute(f"INSERT INTO {MOVED} VALUES (?)", (token,))

    def _make_tables(self, target: sqlite3.Connection) -> None:
        target.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        columns = ", ".join(self._columns())
        target.execute(
            f"CREATE TABLE IF NOT EXISTS {quoted(self.table)} ({columns}, PRIMARY KEY ({quoted(self.key)}))"
        )
        target.execute(f"CREATE TABLE IF NOT EXISTS {MOVED} (part TEXT PRIMARY KEY)")

    def _columns(self) -> list[str]:
        fields = self.model.model_json_schema(mode="serialization")["properties"]
        return [f"{quoted(name)} {column_type(field)}" for name, field in fields.items()]

    def _file_of(self, part: Part) -> Path:
        return self.path.with_name(f".{self.path.name}-{part.token}.part")

    def _close(self) -> None:
        if self._rows is not None:
            self._rows.close()
            self._rows = None


def connect(path: Path) -> sqlite3.Connection:
    """Open the target, whose lock is waited for, with transactions begun and ended by hand."""
    return sqlite3.connect(path, isolation_level=None, timeout=LOCKED_SECONDS)


@contextmanager
def transaction(target: sqlite3.Connection) -> Iterator[None]:
    """Hold the file's write lock; commit at the end, roll back on any error."""
    target.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        target.execute("ROLLBACK")
        raise
    target.execute("COMMIT")


def is_ours(path: Path) -> bool:
    """Tell whether an existing file carries our mark, or nothing at all yet."""
    with path.open("rb") as file:
        header = file.read(72)
    return not header or int.from_bytes(header[68:72]) == APPLICATION_ID


def check_ours(path: Path) -> None:
    """Raise ForeignDatabase when something stands at the path that was not made by this target."""
    if path.exists() and not (path.is_file() and is_ours(path)):
        raise ForeignDatabase(path)


def column_type(field: dict[str, object]) -> str:
    """Give the type of a column from the JSON schema of a field; TEXT for what SQLite has no type for."""
    choices = field.get("anyOf")
    kinds = (
        [field.get("type")] if not isinstance(choices, list) else [choice.get("type") for choice in choices]
    )
    known = {COLUMN_TYPES.get(str(kind), "TEXT") for kind in kinds if kind != "null"}
    return known.pop() if len(known) == 1 else "TEXT"


def quoted(name: str) -> str:
    """Quote an SQL name."""
    return '"' + name.replace('"', '""') + '"'
