"""A file as blocks of whole lines, in bounded memory, plain or gzip."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from piko_flow.connectors.input_store import LOCAL, InputFile, InputStore

BLOCK: Final = 256 * 1024  # bytes read at once; large enough that their number does not matter
LONGEST_LINE: Final = 16 * 1024 * 1024  # bytes of one line or record, unless the source is told otherwise
SHOWN: Final = 200  # bytes kept of a line that is too long to be held
_GZIP: Final = 31  # zlib: a gzip header and checksum around the data


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Whole lines from line number `first` on, separated by line feeds, without the last line feed."""

    first: int
    data: bytes


@dataclass(frozen=True, slots=True)
class BrokenPiece:
    """What cannot be read: the line it begins in, some of it (bytes, text or fields), and why."""

    line: int
    payload: object
    reason: str


class DamagedData(Exception):
    """The rest of a file cannot be decompressed or decoded; the text says why."""


def line_blocks(
    path: str, *, max_line: int, encoding: str = "utf-8", files: InputStore = LOCAL
) -> Iterator[LineBlock | BrokenPiece]:
    """Give the file's lines in order, in blocks of at most about 256 kB, or of one line that is longer.

    A line ends at a line feed or at the end of the file. The data are bytes in `encoding` where that keeps
    ASCII as it is, and UTF-8 for others, such as UTF-16; a byte order mark is left out. A line of more
    than `max_line` bytes, and the rest of a file that is damaged, come as a BrokenPiece. Raises OSError
    or ObjectStoreFailed when the file cannot be read.
    """
    with closing(files.open(path)) as file:
        blocks = _inflated(file) if path.endswith(".gz") else iter(lambda: file.read(BLOCK), b"")
        if not keeps_ascii(encoding):
            blocks = _transcoded(blocks, encoding)
        yield from _whole_lines(_cut(blocks, min(BLOCK, max_line)), max_line)


def keeps_ascii(encoding: str) -> bool:
    """Whether a byte below 128 always means that ASCII character, so that lines can be found in the bytes."""
    ascii_text = "".join(map(chr, range(128)))
    # UTF-7 writes ASCII as it is, and other characters in ASCII too.
    return (
        codecs.lookup(encoding).name != "utf-7"
        and ascii_text.encode(encoding, "replace") == ascii_text.encode()
    )


def readable(payload: object) -> object:
    """Bytes as text where they are UTF-8, because people read dead letters; anything else as it is."""
    if not isinstance(payload, bytes):
        return payload
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return payload


def _whole_lines(blocks: Iterator[bytes], max_line: int) -> Iterator[LineBlock | BrokenPiece]:
    # No block is longer than max_line, so only a line that goes over from one block to the next can be.
    tail = _Tail(max_line)
    line = 1
    try:
        for block in blocks:
            end = block.find(b"\n")
            if end < 0:
                tail.add(block)
                continue
            tail.add(block[:end])
            if tail.too_long:
                yield tail.broken(line)
                line += 1
                first = b""
            else:
                first = tail.take() + b"\n"
            last = block.rfind(b"\n")
            data = first + block[end + 1 : last] if last > end else first[:-1]
            if last > end or first:
                yield LineBlock(line, data)
                line += data.count(b"\n") + 1
            tail = _Tail(max_line)
            tail.add(block[last + 1 :])
    except DamagedData as damage:
        yield BrokenPiece(line, tail.beginning(), f"{damage}; the rest of the file cannot be read")
        return
    if tail.too_long:
        yield tail.broken(line)
    elif tail.size:
        yield LineBlock(line, tail.take())


class _Tail:
    """The beginning of a line whose end has not been read; of one that is too long only some bytes are kept."""

    def __init__(self, max_line: int) -> None:
        self.size, self._max_line = 0, max_line
        self._pieces: list[bytes] = []

    @property
    def too_long(self) -> bool:
        return self.size > self._max_line

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        self._pieces.append(piece)
        if self.too_long:
            self._pieces = [self.beginning()]

    def take(self) -> bytes:
        return b"".join(self._pieces)

    def beginning(self) -> bytes:
        return b"".join(self._pieces)[:SHOWN]

    def broken(self, line: int) -> BrokenPiece:
        reason = (
            f"a line may have {self._max_line:,} bytes, this one has {self.size:,}; raise max_line to read it"
        )
        return BrokenPiece(line, self.beginning(), reason)


def _cut(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in blocks of at most `size`, without a UTF-8 byte order mark at the very start."""
    start = b""
    begun = False
    for block in blocks:
        if not begun:
            start += block
            if len(start) < len(codecs.BOM_UTF8):
                continue
            block, begun = start.removeprefix(codecs.BOM_UTF8), True
        for at in range(0, len(block), size):
            yield block[at : at + size]
    if not begun and start:
        yield start


def _inflated(file: InputFile) -> Iterator[bytes]:
    """Decompress every member of a gzip file. Raises DamagedData where one is broken or ends too early."""
    waiting = b""
    while waiting or (waiting := file.read(BLOCK)):
        member = zlib.decompressobj(wbits=_GZIP)
        while not member.eof:
            read = waiting or file.read(BLOCK)
            try:
                data = member.decompress(read, BLOCK)
            except zlib.error as error:
                raise DamagedData(f"the gzip data is damaged ({error})") from None
            waiting = member.unconsumed_tail
            if data:
                yield data
            elif not read and not member.eof:
                raise DamagedData("the gzip data ends too early")
        # Some writers fill the last disk block with zeros.
        waiting = member.unused_data.lstrip(b"\0")


def _transcoded(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in blocks:
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise DamagedData(f"the file is not {encoding} ({error})") from None
