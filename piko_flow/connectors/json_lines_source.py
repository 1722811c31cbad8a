"""JSON lines files as a source of values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, NoReturn, TypeVar, overload

import orjson
from typing_extensions import Unpack

from piko_flow.connectors.file_errors import BrokenLine
from piko_flow.connectors.input_files import InputFiles, Paths, ReadOptions, check_given, input_name, known
from piko_flow.connectors.input_store import LOCAL, InputStore
from piko_flow.connectors.line_blocks import LONGEST_LINE, BrokenPiece, LineBlock, line_blocks, readable
from piko_flow.connectors.object_store import StoreGiver
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.stages.source import Reject, Source
from piko_flow.dataflow.stages.stage_options import whole
from piko_flow.errors import shorten

Value = TypeVar("Value", covariant=True)
V = TypeVar("V")
ROWS: Final = 500  # values given at once, so that other stages get their turn
_DIGITS_AS_ONES: Final = bytes(ord("1") if chr(byte) in "0123456789" else byte for byte in range(256))
_BEYOND_64_BITS: Final = b"1" * 19  # orjson reads longer whole numbers as floats, without a word


class JsonLinesSource(Source[Value], Generic[Value]):
    """The values of JSON lines files, one a line; files that end in `.gz` are decompressed.

    `paths` is a path, a pattern such as "data/*.jsonl.gz", a list of them, or a function that gives them; it is
    looked up when the run is planned, and each file is a split, so a unit of its own. Each line holds one
    object, given as a dict; `of=list` (or str, int, ...) takes another kind of value, `of=object` any.

    The URL of an object, such as "s3://bucket/in/*.csv", is read from `store`: a store of obstore, or a function that
    gives one; without it obstore finds the store's settings in the environment.

    Lines of white space are skipped, as the convention allows. A line that is not such a value, is not
    UTF-8, or has more than `max_line` bytes is a BrokenLine with its number, under `on_error`. NaN, Infinity and
    floats too large for 64 bits are no JSON and break the line; whole numbers of any size are read exactly.
    Of a key given twice the last value counts. An empty file has no values.
    Order: files as listed, sorted within a pattern; values as they stand in the file.
    """

    @overload
    def __init__(
        self: JsonLinesSource[dict[str, Any]],
        paths: Paths,
        /,
        *,
        max_line: int = ...,
        store: StoreGiver = ...,
        name: str | None = ...,
        **options: Unpack[ReadOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: JsonLinesSource[V],
        paths: Paths,
        /,
        *,
        of: type[V],
        max_line: int = ...,
        store: StoreGiver = ...,
        name: str | None = ...,
        **options: Unpack[ReadOptions],
    ) -> None: ...
    def __init__(
        self,
        paths: Paths,
        /,
        *,
        of: type[Any] = dict,
        max_line: int = LONGEST_LINE,
        store: StoreGiver = None,
        name: str | None = None,
        **options: Unpack[ReadOptions],
    ) -> None:
        name = input_name(paths, "json-lines") if name is None else name
        files = InputFiles(paths, f"JsonLinesSource {name!r}", str(caller()), store)
        reader = JsonLinesReader(of, max_line, InputStore(store))
        super().__init__(reader, splits=files, name=name, **known(options, files))
        check_given(self, paths, options)
        whole(self, "max_line", max_line)
        if not isinstance(of, type):
            self.refuse("of must be a class such as dict, list or object", f"got {of!r}")

    def gives(self, incoming: Any) -> Any:
        return dict[str, Any] if self.items.of is dict else self.items.of


@dataclass(frozen=True)
class JsonLinesReader:
    """Reads one JSON lines file at a time; every value is an instance of `of`."""

    of: type[Any] = dict
    max_line: int = LONGEST_LINE
    files: InputStore = LOCAL

    def read_chunks(self, split: Any, *, reject: Reject) -> Iterator[list[Any]]:
        """Give lists of up to 500 values; what comes before a broken line is given before it is rejected.

        Raises OSError when the file cannot be read.
        """
        for piece in line_blocks(split, max_line=self.max_line, files=self.files):
            if isinstance(piece, BrokenPiece):
                reject(readable(piece.payload), BrokenLine(split, piece.line, piece.reason))
            else:
                yield from self._values(split, piece, reject)

    def _values(self, file: str, block: LineBlock, reject: Reject) -> Iterator[list[Any]]:
        lines, of = block.data.split(b"\n"), self.of
        exact = _BEYOND_64_BITS in block.data.translate(_DIGITS_AS_ONES)
        for start in range(0, len(lines), ROWS):
            chunk = lines[start : start + ROWS]
            try:
                values = [] if exact else [orjson.loads(line) for line in chunk]
            except orjson.JSONDecodeError:
                values = []
            if values and all(issubclass(kind, of) for kind in set(map(type, values))):
                yield values
            else:
                yield from self._one_by_one(file, block.first + start, chunk, reject)

    def _one_by_one(self, file: str, first: int, lines: list[bytes], reject: Reject) -> Iterator[list[Any]]:
        values: list[Any] = []
        for number, line in enumerate(lines, first):
            if not line.strip():
                continue
            try:
                values.append(self._value(line))
            except ValueError as error:
                if values:
                    yield values
                    values = []
                reject(readable(line), BrokenLine(file, number, str(error)))
        if values:
            yield values

    def _value(self, line: bytes) -> Any:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            where = f"{error.msg} at column {error.colno}"
            raise ValueError(
                f"a line must hold one JSON value ({where}), got {shorten(readable(line))}"
            ) from None
        if _BEYOND_64_BITS in line.translate(_DIGITS_AS_ONES):
            value = json.loads(line, parse_constant=_no_json)
        if not isinstance(value, self.of):
            wanted = "object" if self.of is dict else self.of.__name__
            raise ValueError(f"a line must hold a JSON {wanted}, got {shorten(value)}")
        return value


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
