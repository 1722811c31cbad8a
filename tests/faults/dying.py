"""Death at a step: the process ends as by kill -9 before or after something that it says to a server or a database.

Steps are counted in the order in which they come: before and after each piece of bytes that the event loop sends
through a socket, so that a statement dies unsent and unanswered; before each statement in SQLite, of which those that
begin alike and follow each other on a connection, as the rows of one insert do, are one; and before and after each
call that asks something of an object store.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from asyncio import selector_events
from collections.abc import Callable
from functools import wraps
from typing import Any

import obstore

ALIKE = 40  # characters
OF_OBJECTS = ("put", "copy", "delete", "head", "get", "list", "list_with_delimiter")
SENDING = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]


def die_at(step: int) -> None:
    """Make this process die at its step of this number, of which the first is 1."""
    left = step

    def pass_step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("write", "writelines"):
        if name in vars(SENDING):  # before Python 3.12 several pieces are joined and written
            setattr(SENDING, name, with_steps(getattr(SENDING, name), pass_step))
    sqlite3.connect = with_statements(sqlite3.connect, pass_step)  # type: ignore[assignment]
    for name in OF_OBJECTS:
        setattr(obstore, name, with_steps(getattr(obstore, name), pass_step))
    obstore.open_writer = with_pieces(obstore.open_writer, pass_step)  # type: ignore[assignment]


def with_steps(call: Callable[..., Any], pass_step: Callable[[], None]) -> Callable[..., Any]:
    """The function, with a step before and after it."""

    @wraps(call)
    def stepping(*arguments: Any, **options: Any) -> Any:
        pass_step()
        found = call(*arguments, **options)
        pass_step()
        return found

    return stepping


class Pieces:
    """A writer of an object; each piece, and its end, is a step."""

    def __init__(self, writer: Any, pass_step: Callable[[], None]) -> None:
        self.write = with_steps(writer.write, pass_step)
        self.close = with_steps(writer.close, pass_step)


def with_pieces(open_writer: Callable[..., Any], pass_step: Callable[[], None]) -> Callable[..., Pieces]:
    """The function, whose writers make steps."""
    return lambda *arguments, **options: Pieces(open_writer(*arguments, **options), pass_step)


def with_statements(
    connect: Callable[..., sqlite3.Connection], pass_step: Callable[[], None]
) -> Callable[..., sqlite3.Connection]:
    """The function, whose connections make a step of each statement."""

    @wraps(connect)
    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(told_apart(pass_step))
        return connection

    return connected


def told_apart(pass_step: Callable[[], None]) -> Callable[[str], None]:
    """Makes a step of a statement that does not begin as the one before it."""
    before = ""

    def run(statement: str) -> None:
        nonlocal before
        if statement[:ALIKE] != before:
            before = statement[:ALIKE]
            pass_step()

    return run
