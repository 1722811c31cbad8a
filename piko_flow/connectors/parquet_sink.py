"""A Parquet file as a sink of rows; needs the extra `parquet`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from os import PathLike
from typing import Any, Final

from piko_flow.connectors.extras import require_extra
from piko_flow.connectors.file_target import FileTarget
from piko_flow.connectors.object_store import StoreGiver
from piko_flow.connectors.place import PartWriter
from piko_flow.connectors.plain_values import fields_of
from piko_flow.connectors.uninterrupted import on_own_thread
from piko_flow.counting import counted
from piko_flow.dataflow.stages.sink import Part
from piko_flow.errors import ItemRejected, shorten
from piko_flow.known_names import unknown_options_refused

GROUP_ROWS: Final = 65_536  # rows of a row group
GROUP_BYTES: Final = 64 * 1024 * 1024  # bytes held before a row group is written, whatever its rows


@unknown_options_refused
class ParquetSink(FileTarget[object]):
    """Rows as a Parquet file: `Sink(ParquetSink("out/orders.parquet"), batch=500)`; needs the extra `parquet`.

    An item is a dict, a Pydantic model or a dataclass. `schema` is a pyarrow schema; without it the first
    batch tells, and a column that has only None there is refused. An item with other fields than the schema
    has, or with a value that its type cannot hold, is rejected. Up to 64 MB of rows wait in memory.

    Parts cannot be joined: with several units the name must hold `{unit}`, else `open` raises OutputRefused.
    It raises MissingExtra where pyarrow is not installed. For what happens at commit see FileTarget.
    """

    compressible = False

    def __init__(self, path: str | PathLike[str], *, schema: Any = None, store: StoreGiver = None) -> None:
        super().__init__(path, store=store)
        if schema is not None and not (hasattr(schema, "names") and hasattr(schema, "field")):
            self.refuse("schema must be a pyarrow schema", f"got {schema!r:.80}")
        self.schema = schema

    async def open(self, part: Part) -> None:
        """Make the part's hidden file. Raises MissingExtra, OutputRefused and OSError."""
        require_extra("parquet", "pyarrow", what=self.what, where=self.where)
        if self.output.joins(part):
            stem, dot, suffix = self.output.text.rpartition(".")
            self.refuse(
                "Parquet files cannot be joined, so each unit needs a file of its own",
                f"the run has {counted(part.units, 'unit')}",
                f"Put {{unit}} into the name: {stem}-{{unit}}{dot}{suffix}",
            )
        await super().open(part)

    def begin_part(self) -> None:
        self._schema = self.schema
        self._waiting: list[Any] = []
        self._stream = _PartStream(self.opened())
        self._writer: Any = None
        self._failure: Exception | None = None

    async def write(self, items: Sequence[object], /) -> None:
        """Add the rows, all or none. Raises ItemRejected, and OSError with the path (a full disk)."""
        if not items:
            return
        self.opened()
        if _is_enough(self._waiting):
            await on_own_thread(self._write_group)
        rows = [self._row(index, item) for index, item in enumerate(items)]
        schema = self._schema or self._inferred(rows)
        names = {*schema.names}
        for index, row in enumerate(rows):
            if row.keys() != names:
                raise ItemRejected(index, f"a row must have the columns {schema.names}, got {[*row]}")
        self._waiting.append(_batch(rows, schema))
        self._schema = schema
        self.items += len(items)

    def end_part(self) -> None:
        from pyarrow import schema

        self._schema = self._schema or schema([])
        self._write_group()
        self._writer.close()

    async def abort(self) -> None:
        if self.file is not None:
            self._stream.discarded = True
            if self._writer is not None:
                with suppress(Exception):  # it writes the end of a file that nobody will read
                    self._writer.close()
        await super().abort()

    def _row(self, index: int, item: object) -> dict[Any, Any]:
        try:
            fields = fields_of(item, json=False)
        except TypeError as error:
            raise ItemRejected(index, str(error)) from None
        return {name: value.value if isinstance(value, Enum) else value for name, value in fields.items()}

    def _inferred(self, rows: list[dict[Any, Any]]) -> Any:
        from pyarrow import ArrowException, RecordBatch

        try:
            schema = RecordBatch.from_pylist(rows).schema
        except (ArrowException, TypeError, ValueError, OverflowError):
            schema = RecordBatch.from_pylist(rows[:1]).schema
        if unknown := [field.name for field in schema if _is_unknown(field.type)]:
            self.refuse(
                "without a schema the first batch must show the type of each column",
                f"there is no value in {', '.join(unknown)}",
                "Give schema=, or a larger batch=",
            )
        return schema

    def _write_group(self) -> None:
        """Write what waits as a row group. What has failed once fails again: the file is not whole any more."""
        from pyarrow import Table
        from pyarrow.parquet import ParquetWriter

        if self._failure is not None:
            raise self._failure
        try:
            self._writer = self._writer or ParquetWriter(self._stream, self._schema)
            if self._waiting:
                self._writer.write_table(Table.from_batches(self._waiting))
        except Exception as error:
            self._failure = error
            raise
        self._waiting = []


class _PartStream:
    """The part's file as pyarrow wants to see it."""

    closed = False

    def __init__(self, file: PartWriter) -> None:
        self._file, self._position, self.discarded = file, 0, False

    def write(self, data: Any) -> int:
        if not self.discarded:
            self._file.append(bytes(data))
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing to do: `PartFile.finish` brings it to the disk."""

    def close(self) -> None:
        """Nothing to do: `PartFile.finish` closes the file."""

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def _is_enough(batches: list[Any]) -> bool:
    rows = sum(batch.num_rows for batch in batches)
    return bool(rows >= GROUP_ROWS or sum(batch.nbytes for batch in batches) >= GROUP_BYTES)


def _batch(rows: list[dict[Any, Any]], schema: Any) -> Any:
    """The rows as a record batch that holds just their values. Raises ItemRejected."""
    from pyarrow import ArrowException, RecordBatch

    errors = (ArrowException, TypeError, ValueError, OverflowError)
    try:
        batch = RecordBatch.from_pylist(rows, schema)
    except errors as error:
        for index, row in enumerate(rows):
            for name in schema.names:
                try:
                    RecordBatch.from_pylist([{name: row[name]}], schema.empty_table().select([name]).schema)
                except errors as reason:
                    raise ItemRejected(index, f"column {name!r}: {reason}") from None
        raise ItemRejected(0, str(error)) from None
    # pyarrow makes some values fit: 1.5 becomes 1, a moment a day, an unknown key of a struct nothing.
    for name in schema.names:
        values = [row[name] for row in rows]
        altered = _first_altered(values, batch.column(name).to_pylist())
        if altered is not None:
            kind, got = schema.field(name).type, shorten(values[altered])
            raise ItemRejected(altered, f"column {name!r}: {kind} cannot hold {got} without loss")
    return batch


def _first_altered(values: list[Any], kept: list[Any]) -> int | None:
    try:
        if values == kept:
            return None
    except ValueError:  # arrays of numpy are not simply equal or not
        pass
    pairs = enumerate(zip(values, kept, strict=True))
    return next((index for index, (value, found) in pairs if not is_same(value, found)), None)


def is_same(value: Any, kept: Any) -> bool:
    """Whether a value came back from pyarrow as it was, save for the forms that only look different."""
    if hasattr(value, "tolist"):  # an array or a number of numpy
        value = value.tolist()
    if isinstance(value, dict) and isinstance(kept, dict):
        missing = kept.keys() - value.keys()  # a struct has every field, with None where there was none
        return all(kept[key] is None for key in missing) and all(
            key in kept and is_same(inner, kept[key]) for key, inner in value.items()
        )
    if isinstance(value, dict) and isinstance(kept, list):  # a map
        value = [*value.items()]
    if isinstance(value, list | tuple) and isinstance(kept, list | tuple):
        return len(value) == len(kept) and all(map(is_same, value, kept))
    if isinstance(value, float) and isinstance(kept, float):
        # A schema of narrow floats asks for rounding.
        return (math.isnan(value) and math.isnan(kept)) or math.isclose(value, kept, rel_tol=1e-3)
    return bool(value == kept)


def _is_unknown(kind: Any) -> bool:
    """Whether a type was inferred from no value, at any depth."""
    from pyarrow import types

    if bool(types.is_null(kind)):
        return True
    inner = [kind.field(index).type for index in range(kind.num_fields)]
    return any(_is_unknown(one) for one in inner)
