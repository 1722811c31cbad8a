"""How values cross between a run and its worker processes: packed, framed, big ones in shared memory.

Both sides run this file: the run imports it, a worker loads it by its path, so it imports the standard
library only. A frame is a fixed header, a table of the lengths of its segments, and the segments: first
the pickled stream, then the buffers that pickle protocol 5 keeps out of it (a numpy array's data). Frames
of more than `INLINE` bytes leave their segments in an anonymous file in memory, whose descriptor travels
with the frame; nothing has a name, so nothing can stay behind however the processes end.
"""

from __future__ import annotations

import array
import errno
import io
import mmap
import os
import pickle
import socket
import struct
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

INLINE = 64 * 1024  # bytes of a frame that go through the socket, whose buffer holds two such frames
BESIDE = 8 * 1024  # a buffer at least this long stays outside the pickled stream
ALIGNMENT = 64  # bytes; the widest that vector instructions ask for
MAPPED_SIZE = 1024 * 1024  # a smaller memory is read into the heap, which is as fast and holds no descriptor
MAPPED_FILES = 128  # memories mapped at a time, each holds a descriptor until its last array is gone
SLICE = 1024 * 1024  # bytes written at a time, a fraction of a millisecond
LONGEST_TEXT = 20_000  # characters of a message or a traceback that travel

# Kinds of frames. From the run: once, sys.path, the pickler for classes by value, the level of log lines;
SETUP = 1
LOAD = 2  # the function `subject`, before the first call of it
FORGET = 3  # the function `subject` will not be called again
CALL = 4  # chunk `number` of items for `subject`; each may take `seconds`, 0 for any time
# From the worker: it is ready for calls;
READY = 5
REPLY = 6  # results and failures of chunk `number`, which took `seconds`
CANNOT_LOAD = 7  # why the function of chunk `number` could not be loaded
CANNOT_UNPACK = 8  # why the items of chunk `number` could not be loaded
LINE = 9  # a line that was logged in the chunk it works on

# What a worker writes in its progress memory, two numbers of 32 bits: the chunk, and the item in it or one of these.
CHUNK, ITEM = 0, 1
PROGRESS_SIZE = 8
LOADING, UNPACKING, PACKING = 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF

# Kinds of failures in a reply.
RAISED, NOT_LOADED, NOT_PACKED, AWAITABLE = 0, 1, 2, 3

BY_VALUE = 1  # the stream may hold classes and functions themselves instead of their names
APART = 2  # a list of values, each packed on its own, so that one broken value hides no other

_HEADER = struct.Struct("<BBHIIIdI55s")
_CLASS_MAKERS = {
    "_make_skeleton_class": 4,
    "_make_skeleton_enum": 5,
}  # which argument is the class's identity

Buffer = bytes | bytearray | memoryview


class Frame:
    """One message; its `kind` says what `number`, `subject` and `seconds` mean.

    A plain class, because importing dataclasses would cost a starting worker a third of its time.
    """

    __slots__ = ("buffers", "flags", "kind", "number", "seconds", "stream", "subject", "trace")

    def __init__(
        self, kind: int, *, number: int = 0, subject: int = 0, seconds: float = 0.0, flags: int = 0
    ) -> None:
        self.kind, self.number, self.subject = kind, number, subject
        self.seconds, self.flags = seconds, flags
        self.trace = ""  # of a call: the traceparent of the span that it works for
        self.stream: list[Buffer] = []
        self.buffers: list[memoryview] = []

    @property
    def size(self) -> int:
        """The bytes of all segments."""
        return sum(map(len, self.stream)) + sum(buffer.nbytes for buffer in self.buffers)


class _Writer:
    """The file that a pickler writes to; long bytes objects arrive as themselves, uncopied."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[Buffer], None]) -> None:
        self.write = write


def pack(
    value: object, pickler: Callable[..., Any] = pickle.Pickler
) -> tuple[list[Buffer], list[memoryview]]:
    """The pickled stream of `value` in pieces, and the buffers beside it.

    Pieces and buffers are views of the value itself where they are long: it must not change until they
    are sent. Raises what the value's pickling raises.
    """
    stream: list[Buffer] = []
    buffers: list[memoryview] = []

    def leave_inside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < BESIDE:
            return True
        buffers.append(raw)
        return False

    pickler(_Writer(stream.append), protocol=5, buffer_callback=leave_inside).dump(value)
    return stream, buffers


def pack_apart(value: object, pickler: Callable[..., Any] = pickle.Pickler) -> bytes:
    """`value` as one piece, for `unpack_apart`. Raises what the value's pickling raises."""
    stream: list[Buffer] = []
    pickler(_Writer(stream.append), protocol=5).dump(value)
    return b"".join(stream)


def unpack_apart(packed: bytes) -> Any:
    """The value of `pack_apart`."""
    return ByValueUnpickler(io.BytesIO(packed)).load()


def unpack(frame: Frame) -> Any:
    """The value of a received frame. Its arrays lie in the received memory, writable and its own."""
    stream = frame.stream[0]
    if frame.flags & BY_VALUE:
        return ByValueUnpickler(io.BytesIO(stream), buffers=frame.buffers).load()
    return pickle.loads(stream, buffers=frame.buffers)


class ByValueUnpickler(pickle.Unpickler):
    """Loads what cloudpickle packed, and leaves classes that this process knows exactly as they are.

    Cloudpickle itself finds the known class again, but then sets all its attributes anew from the stream:
    methods with other globals, counters of the class back at what they were when the stream was made.
    """

    def __init__(self, file: io.BytesIO, **options: Any) -> None:
        super().__init__(file, **options)
        self._known: dict[int, object] = {}

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        if module == "cloudpickle.cloudpickle":
            if name in _CLASS_MAKERS:
                return partial(self._class, found, _CLASS_MAKERS[name])
            if name == "_class_setstate":
                return partial(self._fill, found)
        return found

    def _class(self, make: Callable[..., type], place: int, *arguments: Any) -> type:
        internals = sys.modules["cloudpickle.cloudpickle"]
        tracked = getattr(internals, "_DYNAMIC_CLASS_TRACKER_BY_ID", {})
        known: type | None = tracked.get(arguments[place])
        if known is None:
            return make(*arguments)
        self._known[id(known)] = known
        return known

    def _fill(self, set_state: Callable[[type, Any], type], kind: type, state: Any) -> type:
        return kind if id(kind) in self._known else set_state(kind, state)


class Outgoing:
    """A frame ready to be sent: `data` for the socket and, when it is big, the file that holds its segments.

    `write` must be exhausted before the data is sent; it gives way after every slice, so that an event
    loop may turn in between. Whoever makes an Outgoing closes it, sent or not.
    """

    def __init__(self, frame: Frame) -> None:
        self._segments: list[list[Buffer]] = [
            frame.stream,
            *(list[Buffer]((buffer,)) for buffer in frame.buffers),
        ]
        lengths = [sum(map(len, pieces)) for pieces in self._segments]
        self._offsets, self._total = _layout(lengths)
        self.big = frame.size > INLINE
        self.file: int | None = None
        body = 0 if self.big else sum(lengths)
        header = _HEADER.pack(
            frame.kind,
            frame.flags,
            self.big,
            frame.number,
            frame.subject,
            len(lengths),
            frame.seconds,
            body,
            frame.trace.encode(),
        )
        table = struct.pack(f"<{len(lengths)}Q", *lengths)
        inline = [] if self.big else [piece for pieces in self._segments for piece in pieces]
        self.data = b"".join([header, table, *inline])

    def write(self) -> Iterator[None]:
        """Put the segments of a big frame into its memory, a slice a step. Raises OSError without memory."""
        if not self.big:
            return
        self.file = create_memory(self._total)
        for offset, pieces in zip(self._offsets, self._segments, strict=True):
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    written = os.pwrite(self.file, view[:SLICE], offset)
                    view, offset = view[written:], offset + written
                    if written == SLICE:
                        yield

    def close(self) -> None:
        """Forget the memory here; the receiver's lives on."""
        if self.file is not None:
            os.close(self.file)
            self.file = None

    @property
    def rights(self) -> list[tuple[int, int, array.array[int]]]:
        """What must travel beside the first byte of the data."""
        if self.file is None:
            return []
        return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [self.file]))]


class Incoming:
    """Puts the frames that arrive on a socket together again, in the order sent."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._bytes = bytearray()
        self._files: deque[int] = deque()
        self._mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()

    def receive(self) -> bool:
        """Take in once what has arrived; False at the end of the stream. Raises OSError as the socket does."""
        room = socket.CMSG_SPACE(16 * array.array("i").itemsize)
        data, rights, _, _ = self._link.recvmsg(INLINE, room, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
        for level, kind, payload in rights:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                files = array.array("i")
                files.frombytes(payload[: len(payload) - len(payload) % files.itemsize])
                self._files.extend(files)
        self._bytes += data
        return bool(data)

    def next(self) -> Frame | None:
        """The next complete frame, None while it is still on its way. Raises OSError when memory is short."""
        if len(self._bytes) < _HEADER.size:
            return None
        kind, flags, big, number, subject, count, seconds, body, trace = _HEADER.unpack_from(self._bytes)
        start = _HEADER.size + 8 * count
        if len(self._bytes) < start + body:
            return None
        lengths = struct.unpack_from(f"<{count}Q", self._bytes, _HEADER.size)
        content = bytes(memoryview(self._bytes)[start : start + body])
        del self._bytes[: start + body]
        frame = Frame(kind, number=number, subject=subject, seconds=seconds, flags=flags)
        frame.trace = trace.rstrip(b"\0").decode()
        if big:
            offsets, total = _layout(lengths)
            if not self._files:  # the kernel drops descriptors that the process has no room for
                raise OSError(errno.EMFILE, "no file descriptor is free to receive a large value")
            memory = self._memory(self._files.popleft(), total)
            views = [memory[at : at + length] for at, length in zip(offsets, lengths, strict=True)]
            frame.stream, frame.buffers = [views[0]], views[1:]
        else:
            frame.stream, frame.buffers = _split(content, lengths)
        return frame

    def _memory(self, file: int, size: int) -> memoryview:
        try:
            if size >= MAPPED_SIZE and len(self._mapped) < MAPPED_FILES:
                mapped = mmap.mmap(file, size, access=mmap.ACCESS_COPY)
                self._mapped.add(mapped)
                return memoryview(mapped)
            content, filled = bytearray(size), 0
            while filled < size:
                filled += os.preadv(file, [memoryview(content)[filled:]], filled)
            return memoryview(content)
        finally:
            os.close(file)

    def close(self) -> None:
        """Drop what has not become a frame."""
        while self._files:
            os.close(self._files.popleft())


def create_memory(size: int) -> int:
    """The descriptor of an anonymous file of `size` zero bytes, in memory where the system can."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("piko-flow")
    else:
        import tempfile  # a slow import that a worker on Linux never needs

        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.truncate(file, size)
    return file


def _layout(lengths: list[int] | tuple[int, ...]) -> tuple[list[int], int]:
    """Where each segment begins in the memory, and how long that is in all."""
    offsets, end = [], 0
    for length in lengths:
        offsets.append(end)
        end += -(-length // ALIGNMENT) * ALIGNMENT
    return offsets, end


def _split(content: bytes, lengths: tuple[int, ...]) -> tuple[list[Buffer], list[memoryview]]:
    if not lengths:
        return [], []
    buffers, start = [], lengths[0]
    for length in lengths[1:]:
        buffers.append(memoryview(bytearray(content[start : start + length])))
        start += length
    return [content[: lengths[0]] if buffers else content], buffers
