"""CSV files as a source of rows."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import Unpack

from piko_flow.connectors.csv_records import CsvDialect, Records, csv_records
from piko_flow.connectors.file_errors import BrokenLine
from piko_flow.connectors.input_files import InputFiles, Paths, ReadOptions, check_given, input_name, known
from piko_flow.connectors.input_store import LOCAL, InputStore
from piko_flow.connectors.line_blocks import LONGEST_LINE, BrokenPiece, readable
from piko_flow.connectors.object_store import StoreGiver
from piko_flow.counting import counted
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.stages.source import Reject, Source, Table
from piko_flow.dataflow.stages.stage_options import whole
from piko_flow.errors import shorten

Row = dict[str, str]


class CsvSource(Source[Row]):
    """The rows of CSV files, each a dict from column to text; files that end in `.gz` are decompressed.

    `paths` is a path, a pattern such as "data/*.csv.gz", a list of them, or a function that gives them; it is
    looked up when the run is planned, and each file is a split, so a unit of its own. The first record of a
    file names the columns, unless `columns` names them for files that have no such line. `quote=None` reads
    files in which quotes are ordinary characters.

    The URL of an object, such as "s3://bucket/in/*.csv", is read from `store`: a store of obstore, or a function that
    gives one; without it obstore finds the store's settings in the environment.

    A record may span lines inside quotes; empty lines are skipped, as the csv module does. A record that
    cannot be read, or has more or fewer fields than there are columns, is a BrokenLine with the number of
    its first line, under `on_error`. A header that cannot be used always fails the run. An empty file has no rows.
    A line or record of more than `max_line` bytes is broken, so memory is bounded.
    Order: files as listed, sorted within a pattern; rows as they stand in the file.
    """

    def __init__(
        self,
        paths: Paths,
        /,
        *,
        columns: Sequence[str] | None = None,
        delimiter: str = ",",
        quote: str | None = '"',
        encoding: str = "utf-8",
        max_line: int = LONGEST_LINE,
        store: StoreGiver = None,
        name: str | None = None,
        **options: Unpack[ReadOptions],
    ) -> None:
        name = input_name(paths, "csv") if name is None else name
        names = None if columns is None else tuple(columns)
        dialect = CsvDialect(delimiter, quote, encoding, max_line)
        files = InputFiles(paths, f"CsvSource {name!r}", str(caller()), store)
        reader = CsvReader(dialect, names, InputStore(store))
        super().__init__(reader, splits=files, name=name, **known(options, files))
        check_given(self, paths, options)
        self._check_dialect(dialect)
        if isinstance(columns, str) or (names is not None and (len(set(names)) < len(names) or not names)):
            self.refuse("columns must be a list of different names", f"got {columns!r}")

    def _check_dialect(self, dialect: CsvDialect) -> None:
        whole(self, "max_line", dialect.max_line)
        try:
            codecs.lookup(dialect.encoding).name.encode()
        except (LookupError, TypeError):
            self.refuse("encoding must be one that Python knows", f"got {dialect.encoding!r}")
        for option, value in (("delimiter", dialect.delimiter), ("quote", dialect.quote)):
            if option == "quote" and value is None:
                continue
            if not isinstance(value, str) or len(value) != 1 or value in "\r\n\0":
                self.refuse(f"{option} must be one character that is not a line break", f"got {value!r}")
        if dialect.delimiter == dialect.quote:
            self.refuse("delimiter and quote must differ", f"both are {dialect.quote!r}")


@dataclass(frozen=True)
class CsvReader:
    """Reads one CSV file at a time; the columns are those given, or those in the file's first record."""

    dialect: CsvDialect
    columns: tuple[str, ...] | None = None
    files: InputStore = LOCAL

    def read_chunks(self, split: Any, *, reject: Reject) -> Iterator[list[Row]]:
        """Give lists of up to 500 rows; what comes before a broken line is given before it is rejected.

        Raises BrokenLine for a header that cannot be used, and OSError when the file cannot be read.
        """
        return (table.dicts() for table in self.read_tables(split, reject=reject))

    def read_tables(self, split: Any, *, reject: Reject) -> Iterator[Table]:
        """The same, each list as a table."""
        header = self.columns
        for found in csv_records(split, self.dialect, self.files):
            if isinstance(found, BrokenPiece):
                if header is None:
                    raise BrokenLine(split, found.line, f"the columns cannot be read: {found.reason}")
                reject(readable(found.payload), BrokenLine(split, found.line, found.reason))
                continue
            if header is None:
                header = _columns(split, found.lines[0], found.fields[0])
                found = Records(found.lines[1:], found.fields[1:])
            if set(map(len, found.fields)) <= {len(header)}:
                yield Table(header, found.fields)
            else:
                yield from self._rows_one_by_one(split, header, found, reject)

    def _rows_one_by_one(
        self, file: str, header: Sequence[str], found: Records, reject: Reject
    ) -> Iterator[Table]:
        rows: list[list[str]] = []
        for line, fields in zip(found.lines, found.fields, strict=True):
            if len(fields) == len(header):
                rows.append(fields)
                continue
            if rows:
                yield Table(header, rows)
                rows = []
            reason = f"{counted(len(header), 'column')} {'needs' if len(header) == 1 else 'need'} {counted(len(header), 'field')}, got {len(fields)}: {shorten(fields)}"
            reject(fields, BrokenLine(file, line, reason))
        if rows:
            yield Table(header, rows)


def _columns(file: str, line: int, fields: list[str]) -> tuple[str, ...]:
    twice = sorted({field for field in fields if fields.count(field) > 1})
    if twice:
        reason = f"a header may name a column once, {', '.join(map(repr, twice))} came more often; rename one of them"
        raise BrokenLine(file, line, reason)
    return tuple(fields)
