"""A CSV file as a sink of rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from os import PathLike
from typing import Any, Final, TypeAlias

from piko_flow.connectors.file_target import FileTarget
from piko_flow.connectors.object_store import StoreGiver
from piko_flow.connectors.part_file import compressed
from piko_flow.connectors.plain_values import fields_of, names_of, plain
from piko_flow.dataflow.stages.sink import Receipt
from piko_flow.errors import ItemRejected
from piko_flow.known_names import unknown_options_refused

Columns: TypeAlias = Sequence[str] | type[Any]
_WRITTEN_AS_THEY_ARE: Final = frozenset({str, int, float, bool, type(None), Decimal})
_LINE_FEED: Final = "\n"


@unknown_options_refused
class CsvSink(FileTarget[object]):
    """Rows as a CSV file, compressed if its name ends in `.gz`: `Sink(CsvSink("out/orders.csv.gz"), batch=500)`.

    An item is a dict, a Pydantic model or a dataclass. `columns` are names, or a model or dataclass that has
    them; without it the first item tells. An item with other fields, or with a value that a text cannot hold (bytes,
    lists, NUL characters), is rejected; no field is left out in silence. None is written as an empty field,
    as is empty text: CSV cannot tell them apart. Dates are ISO 8601, floats the shortest text that reads back the same.

    UTF-8, lines end in a line feed, quotes only where needed; the same rows give the same bytes. Order: as
    written, units one after the other. For what happens at commit, `{unit}` and several units see FileTarget.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        columns: Columns | None = None,
        delimiter: str = ",",
        header: bool = True,
        store: StoreGiver = None,
    ) -> None:
        super().__init__(path, store=store)
        self.delimiter, self.header = delimiter, header
        self.columns = self._checked(columns)
        if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n\0"':
            self.refuse(
                "delimiter must be one character that is no quote or line break", f"got {delimiter!r}"
            )

    def _checked(self, columns: Columns | None) -> tuple[str, ...] | None:
        if columns is None:
            return None
        names = names_of(columns) if isinstance(columns, type) else columns
        if (
            isinstance(names, str)
            or not isinstance(names, Sequence)
            or not names
            or not all(isinstance(name, str) for name in names)
            or len(set(names)) < len(names)
        ):
            self.refuse(
                "columns must be different names, or a model or dataclass that has them",
                f"got {columns!r:.80}",
            )
        return tuple(names)

    def begin_part(self) -> None:
        self._names = self.columns
        self._opened = not self.header or self.output.joins(self.part)

    async def write(self, items: Sequence[object], /) -> None:
        """Add the rows, all or none. Raises ItemRejected, and OSError with the path (a full disk)."""
        if not items:
            return
        self.opened()
        names = self._names or await self._names_from(items[0])
        rows = [self._row(index, item, names) for index, item in enumerate(items)]
        text = self._text(rows if self._opened else [names, *rows])
        if "\0" in text or not _is_unicode(text):
            _reject_unwritable(names, rows)
        await self.append(text.encode())
        self._names, self._opened = names, True
        self.items += len(items)

    def end_part(self) -> None:
        if not self._opened and self._names:
            self.opened().append(self._text([self._names]).encode())

    def facts(self) -> dict[str, Any]:
        return {"columns": self._names and [*self._names]}

    def opening(self, receipts: Sequence[Receipt]) -> bytes:
        found = next((receipt.data["columns"] for receipt in receipts if receipt.data["columns"]), None)
        if not self.header or found is None:
            return b""
        line = self._text([found]).encode()
        return compressed(line) if self.output.compress else line

    async def _names_from(self, item: object) -> tuple[str, ...]:
        names = tuple(_fields(0, item))
        if not names or not all(isinstance(name, str) for name in names):
            raise ItemRejected(0, f"the names of columns must be text, got {[*names]!r:.80}")
        if not self.output.joins(self.part):
            return names
        # Of all parts of the run the first has its way, also if it is in another process.
        agreed, place = self.output.agreed_name(self.part.run), self.place
        return tuple(json.loads(await self.at(place, lambda: place.agree(agreed, json.dumps(names)))))

    def _row(self, index: int, item: object, names: tuple[str, ...]) -> list[Any]:
        fields = _fields(index, item)
        if tuple(fields) == names:
            values = [*fields.values()]
        elif fields.keys() == set(names):
            values = [fields[name] for name in names]
        else:
            raise ItemRejected(index, _difference(fields, names))
        if _WRITTEN_AS_THEY_ARE.issuperset(map(type, values)):
            return values
        return [_value(index, name, value) for name, value in zip(names, values, strict=True)]

    def _text(self, rows: Sequence[Sequence[Any]]) -> str:
        text = self._written(rows, csv.QUOTE_MINIMAL)
        if "\r" not in text and "\ufeff" not in text:
            return text
        # Outside quotes the one would end a line, and the other would vanish at the start of a file.
        return "".join(
            self._written([row], csv.QUOTE_ALL if _needs_quotes(row) else csv.QUOTE_MINIMAL) for row in rows
        )

    def _written(self, rows: Iterable[Sequence[Any]], quoting: Any) -> str:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator=_LINE_FEED, quoting=quoting)
        writer.writerows(rows)
        return text.getvalue()


def _fields(index: int, item: object) -> Mapping[Any, Any]:
    try:
        return fields_of(item)
    except TypeError as error:
        raise ItemRejected(index, str(error)) from None


def _value(index: int, name: str, value: object) -> object:
    try:
        return plain(value)
    except TypeError as error:
        raise ItemRejected(index, f"column {name!r}: {error}") from None


def _difference(fields: Mapping[Any, Any], names: tuple[str, ...]) -> str:
    missing = [name for name in names if name not in fields]
    unknown = [name for name in fields if name not in names]
    parts = [
        f"{word} {', '.join(map(repr, found))}"
        for word, found in (("lacks", missing), ("has", unknown))
        if found
    ]
    return f"an item must have the columns {', '.join(names)}; this one {' and '.join(parts)}"


def _needs_quotes(row: Sequence[Any]) -> bool:
    return any(isinstance(value, str) and ("\r" in value or value.startswith("\ufeff")) for value in row)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reject_unwritable(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Raise ItemRejected for the first row whose text, or for the first row if the columns' text, is unwritable."""
    for index, row in enumerate(rows):
        for name, value in zip(names, row, strict=True):
            for text in (name, str(value)):
                if "\0" in text or not _is_unicode(text):
                    what = "a NUL character" if "\0" in text else "half of a surrogate pair"
                    raise ItemRejected(
                        index, f"column {name!r}: a text file cannot hold {what}, got {text!r:.80}"
                    )
