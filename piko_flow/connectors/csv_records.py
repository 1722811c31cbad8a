"""The records of a CSV file, each with the line it begins in, and what is not a record."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from piko_flow.connectors.input_store import LOCAL, InputStore
from piko_flow.connectors.line_blocks import LONGEST_LINE, BrokenPiece, LineBlock, keeps_ascii, line_blocks
from piko_flow.known_names import unknown_options_refused

ROWS: Final = 500  # records given at once, so that other stages get their turn
_ESCAPED: Final = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of bytes it cannot decode


@unknown_options_refused
@dataclass(frozen=True)
class CsvDialect:
    """How a CSV file is written: `quote` None means that quotes are ordinary characters."""

    delimiter: str = ","
    quote: str | None = '"'
    encoding: str = "utf-8"
    max_line: int = LONGEST_LINE


@dataclass(frozen=True, slots=True)
class Records:
    """Records, each a list of its fields, and the line in which each begins."""

    lines: Sequence[int]
    fields: list[list[str]]


def csv_records(path: str, dialect: CsvDialect, files: InputStore = LOCAL) -> Iterator[Records | BrokenPiece]:
    """Give the records in order, at most 500 at once; an empty line is no record.

    A quoted field may hold delimiters, doubled quotes and line breaks. Broken are: a record whose quotes do
    not pair up (reading goes on in the line after the one it begins in, so that a stray quote does not
    swallow what follows), one longer than `max_line`, one with bytes that are not in the encoding or with
    a NUL character, and a carriage return that neither ends a line nor stands in quotes.
    """
    if csv.field_size_limit() < dialect.max_line:
        # The module's own limit is for the whole process; it is only ever raised here.
        csv.field_size_limit(dialect.max_line)
    if not keeps_ascii(dialect.encoding):
        blocks = line_blocks(path, max_line=dialect.max_line, encoding=dialect.encoding, files=files)
        dialect = replace(dialect, encoding="utf-8")
    else:
        blocks = line_blocks(path, max_line=dialect.max_line, files=files)
    lines = _Lines(blocks, dialect)
    while lines.next_block():
        if lines.plain:
            yield from _split(lines, dialect.delimiter)
        else:
            yield from _parse(lines)
        if lines.broken is not None:
            yield lines.broken


class _Unclosed(Exception):
    """A quoted field did not end where it had to."""


class _Lines:
    """The lines of the block at hand for csv.reader, kept from the beginning of the current record on."""

    def __init__(self, blocks: Iterator[LineBlock | BrokenPiece], dialect: CsvDialect) -> None:
        self._blocks, self._dialect = blocks, dialect
        self.reader = self.read(self)
        self.held: list[str] = []
        self.first = self.at = self.start = 0
        self.plain = self.suspect = False
        self.broken: BrokenPiece | None = None

    def next_block(self) -> bool:
        """Go on to the next block, at the end of a record; False at the end of the file."""
        self.held, self.at, self.start, self.suspect, self.broken = [], 0, 0, False, None
        block = next(self._blocks, None)
        if isinstance(block, LineBlock):
            self._hold(block)
        else:
            self.broken, self.plain = block, True
        return block is not None

    def read(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The records in the lines, as csv.reader sees them."""
        return csv.reader(
            lines,
            delimiter=self._dialect.delimiter,
            quotechar=self._dialect.quote,
            quoting=csv.QUOTE_MINIMAL if self._dialect.quote else csv.QUOTE_NONE,
            strict=True,
        )

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self.at == len(self.held):
            self._go_on()
        self.at += 1
        return self.held[self.at - 1] + "\n"

    @property
    def number(self) -> int:
        """The number of the line in which the current record begins."""
        return self.first + self.start

    def raw(self) -> bytes:
        """The lines of the current record as they stand in the file, without the last line feed."""
        return "\n".join(self.held[self.start : self.at]).encode(self._dialect.encoding, "surrogateescape")

    def _go_on(self) -> None:
        """Fetch another block for a record that does not end with the lines at hand."""
        limit = self._dialect.max_line
        if sum(map(len, self.held[self.start :])) > limit:
            raise _Unclosed(f"a quoted field does not end within max_line={limit:,} characters")
        block = None if self.broken else next(self._blocks, None)
        if not isinstance(block, LineBlock):
            self.broken = self.broken or block
            raise _Unclosed("a quoted field is still open where the readable part of the file ends")
        self.held = self.held[self.start :]
        self.first, self.at, self.start = self.first + self.start, self.at - self.start, 0
        self._hold(block)

    def _hold(self, block: LineBlock) -> None:
        quote, data = self._dialect.quote, block.data
        try:
            text = data.decode(self._dialect.encoding)
        except UnicodeDecodeError:
            text, self.suspect = data.decode(self._dialect.encoding, "surrogateescape"), True
        self.suspect = self.suspect or "\0" in text
        if "\r" in text:
            # At the very end, the line feed that belongs to it has been taken off with the block's.
            bare = text.replace("\r\n", "\n").removesuffix("\r")
        else:
            bare = text
        self.plain = not (self.suspect or "\r" in bare or (quote and quote in text))
        if not self.held:
            self.first = block.first
        self.held += (bare if self.plain else text).split("\n")


def _split(lines: _Lines, delimiter: str) -> Iterator[Records]:
    """The records of a block without quotes, where every line is one and every delimiter counts."""
    for start in range(0, len(lines.held), ROWS):
        texts = lines.held[start : start + ROWS]
        yield from _without_empty(
            lines.first + start, [text.split(delimiter) if text else [] for text in texts]
        )


def _parse(lines: _Lines) -> Iterator[Records | BrokenPiece]:
    """The records of a block with quotes: at one go while each is one line, with care where one is not."""
    while lines.at < len(lines.held):
        end = min(lines.at + ROWS, len(lines.held))
        records = None if lines.suspect else _one_a_line(lines, lines.held[lines.at : end])
        if records is None:
            yield from _parse_with_care(lines, lines.first + end)
        else:
            yield from _without_empty(lines.first + lines.at, records)
            lines.at = end


def _one_a_line(lines: _Lines, texts: list[str]) -> list[list[str]] | None:
    """The records in these lines if each line is one, else None."""
    try:
        records = list(lines.read(texts))
    except csv.Error:
        return None
    return records if len(records) == len(texts) else None


def _without_empty(first: int, records: list[list[str]]) -> Iterator[Records]:
    if [] not in records:
        yield Records(range(first, first + len(records)), records)
    elif kept := [(number, record) for number, record in enumerate(records, first) if record]:
        yield Records([number for number, _ in kept], [record for _, record in kept])


def _parse_with_care(lines: _Lines, end: int) -> Iterator[Records | BrokenPiece]:
    """The records that begin before line number `end`, each checked for what csv.reader lets pass."""
    numbers: list[int] = []
    fields: list[list[str]] = []
    while lines.at < len(lines.held) and lines.first + lines.at < end:
        lines.start = lines.at
        broken = None
        try:
            record = next(lines.reader)
        except (csv.Error, _Unclosed) as error:
            lines.at = lines.start + 1
            broken = BrokenPiece(lines.number, lines.raw(), _reason(error))
        else:
            if lines.suspect and (fault := _fault("".join(record))):
                broken = BrokenPiece(lines.number, lines.raw(), fault)
            elif record:
                numbers.append(lines.number)
                fields.append(record)
        if broken:
            if fields:
                yield Records(numbers, fields)
                numbers, fields = [], []
            yield broken
    if fields:
        yield Records(numbers, fields)


def _reason(error: Exception) -> str:
    text = str(error)
    if "new-line character" in text:
        return "a carriage return outside quotes must be followed by a line feed"
    return text if isinstance(error, _Unclosed) else f"the quotes of a record must pair up ({text})"


def _fault(text: str) -> str:
    """Why a record cannot be given although its fields were found; empty if it can."""
    if "\0" in text:
        return "a NUL character, which no text has"
    if found := _ESCAPED.search(text):
        return f"the byte 0x{ord(found.group()) - 0xDC00:02X} is not in the encoding of the file"
    return ""
