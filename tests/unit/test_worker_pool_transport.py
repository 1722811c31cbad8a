"""Frames arrive as they were sent, however large and however the socket cuts them."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piko_flow.dataflow.workers.transport import (
    BESIDE,
    CALL,
    INLINE,
    MAPPED_SIZE,
    Frame,
    Incoming,
    Outgoing,
    pack,
    unpack,
)

sizes = st.one_of(
    st.integers(0, 40), *(st.integers(size - 40, size + 40) for size in (BESIDE, INLINE, MAPPED_SIZE))
)


@contextmanager
def line() -> Iterator[tuple[socket.socket, Incoming]]:
    sender, receiver = socket.socketpair()
    with sender, receiver:
        sender.setblocking(False)
        incoming = Incoming(receiver)
        yield sender, incoming
        incoming.close()


def send(frame: Frame, sender: socket.socket, incoming: Incoming, piece: int = INLINE) -> Frame:
    """Send in pieces, receiving after each."""
    outgoing = Outgoing(frame)
    for _ in outgoing.write():
        continue
    rights = outgoing.rights
    for at in range(0, len(outgoing.data), piece):
        sender.sendmsg([outgoing.data[at : at + piece]], rights)
        rights = []
        assert incoming.receive()
    outgoing.close()
    received = incoming.next()
    assert received is not None
    return received


@given(
    values=st.lists(st.tuples(sizes, st.sampled_from([bytes, bytearray, pickle.PickleBuffer])), max_size=4),
    number=st.integers(0, 2**32 - 1),
    seconds=st.floats(0, 1e9),
)
def test_any_values_arrive_equal(values: list[tuple[int, type]], number: int, seconds: float) -> None:
    content = [os.urandom(size) for size, _ in values]
    sent = [kind(data) for data, (_, kind) in zip(content, values, strict=True)]
    frame = Frame(CALL, number=number, subject=7, seconds=seconds, flags=4)
    frame.stream, frame.buffers = pack(sent)
    with line() as (sender, incoming):
        for _ in range(2):
            received = send(frame, sender, incoming)
            assert [bytes(value) for value in unpack(received)] == content
            assert (received.kind, received.number, received.subject) == (CALL, number, 7)
            assert (received.seconds, received.flags) == (seconds, 4)
        assert incoming.next() is None


@given(piece=st.integers(1, 50), length=st.integers(0, 300))
def test_a_frame_cut_anywhere_is_put_together(piece: int, length: int) -> None:
    frame = Frame(CALL)
    frame.stream, frame.buffers = pack(b"x" * length)
    with line() as (sender, incoming):
        assert unpack(send(frame, sender, incoming, piece)) == b"x" * length


def test_a_frame_whose_memory_did_not_come_with_it_is_an_error() -> None:
    frame = Frame(CALL)
    frame.stream, frame.buffers = pack(b"x" * INLINE * 2)
    with line() as (sender, incoming):
        outgoing = Outgoing(frame)
        for _ in outgoing.write():
            continue
        sender.send(outgoing.data)  # without the descriptor, as when the receiver has no room for one
        outgoing.close()
        assert incoming.receive()
        with pytest.raises(OSError, match="no file descriptor is free"):
            incoming.next()


def test_memory_that_became_no_frame_is_released() -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    frame = Frame(CALL)
    frame.stream, frame.buffers = pack(b"x" * INLINE * 2)
    with line() as (sender, incoming):
        outgoing = Outgoing(frame)
        for _ in outgoing.write():
            continue
        sender.sendmsg([outgoing.data[:5]], outgoing.rights)
        outgoing.close()
        assert incoming.receive()
        assert incoming.next() is None
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
