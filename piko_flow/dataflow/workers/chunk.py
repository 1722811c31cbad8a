"""A chunk of items on its way to a worker and back: packed in the fastest form that can carry it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from piko_flow.dataflow.workers import transport
from piko_flow.dataflow.workers.errors import CannotReturn, CannotSend, RemoteError
from piko_flow.dataflow.workers.shipping import by_value_pickler
from piko_flow.dataflow.workers.suspects import Attempt, Form
from piko_flow.dataflow.workers.transport import Buffer, Frame
from piko_flow.errors import describe_error, shorten

SEARCHED = 256 * 1024  # bytes; a longer piece of a stream is one value's content and names no class


def encode_items(
    items: Sequence[Any], attempt: Attempt, errors: dict[int, BaseException]
) -> tuple[Attempt, Frame | None]:
    """The attempt's items as a call, and the attempt as it is made: in this form, with these items.

    Items that cannot be packed become CannotSend in `errors`; None when that leaves none.
    """
    chosen = items if len(attempt.indices) == len(items) else [items[index] for index in attempt.indices]
    if attempt.form == Form.PLAIN:
        try:
            call = Frame(transport.CALL)
            call.stream, call.buffers = transport.pack(list(chosen))
            if not _names_main(call.stream):
                return attempt, call
        except Exception:
            return encode_items(items, replace(attempt, form=Form.BY_VALUE), errors)
        attempt = replace(attempt, form=Form.BY_VALUE)
    if attempt.form == Form.BY_VALUE:
        try:
            call = Frame(transport.CALL, flags=transport.BY_VALUE)
            call.stream, call.buffers = transport.pack(list(chosen), by_value_pickler())
            return attempt, call
        except Exception:
            attempt = replace(attempt, form=Form.APART)
    return _encode_apart(items, attempt, errors)


def _encode_apart(
    items: Sequence[Any], attempt: Attempt, errors: dict[int, BaseException]
) -> tuple[Attempt, Frame | None]:
    packed: dict[int, bytes] = {}
    for index in attempt.indices:
        try:
            packed[index] = transport.pack_apart(items[index], by_value_pickler())
        except Exception as error:
            errors[index] = CannotSend(shorten(items[index]), describe_error(error))
    attempt = replace(attempt, indices=tuple(packed))
    if not packed:
        return attempt, None
    call = Frame(transport.CALL, flags=transport.APART)
    call.stream, call.buffers = transport.pack(list(packed.values()))
    return attempt, call


def _names_main(stream: list[Buffer]) -> bool:
    """Whether a class or function of `__main__` may be named, which no worker can import."""
    return any(len(piece) < SEARCHED and b"__main__" in bytes(piece) for piece in stream)


def decode_reply(
    items: Sequence[Any],
    attempt: Attempt,
    reply: Frame,
    results: list[Any],
    errors: dict[int, BaseException],
) -> Attempt | None:
    """Enter what a worker replied under the items' own indices; what to try again in a slower form."""
    if reply.kind == transport.CANNOT_UNPACK:
        return _slower(items, attempt, reply, errors)
    try:
        values, failures = transport.unpack(reply)
    except Exception as error:
        if attempt.form != Form.APART:  # packed one by one, a result that cannot be loaded hides no other
            return replace(attempt, form=Form.APART)
        for index in attempt.indices:
            errors[index] = CannotReturn(shorten(items[index]), describe_error(error))
        return None
    for place, kind, name, message, trace, survivor in failures:
        index = attempt.indices[place]
        errors[index] = _failure(items[index], kind, name, message, trace, survivor)
    if not reply.flags & transport.APART:
        if len(values) == len(results):
            results[:] = values
            return None
        for index, value in zip(attempt.indices, values, strict=True):
            results[index] = value
        return None
    for index, packed in zip(attempt.indices, values, strict=True):
        if packed is not None and index not in errors:
            try:
                results[index] = transport.unpack_apart(packed)
            except Exception as error:
                errors[index] = CannotReturn(shorten(items[index]), describe_error(error))
    return None


def describe_refusal(reply: Frame) -> tuple[str, str]:
    """Why a worker could not load something: in one line, and with its traceback."""
    _, _, name, message, trace, _ = transport.unpack(reply)
    return f"{name}: {message}", f"In the worker process:\n{trace}"


def _slower(
    items: Sequence[Any], attempt: Attempt, reply: Frame, errors: dict[int, BaseException]
) -> Attempt | None:
    """The attempt in the next form, for items that a worker could not load in this one."""
    if attempt.form != Form.APART:
        return replace(attempt, form=Form(attempt.form + 1))
    reason, _ = describe_refusal(reply)
    for index in attempt.indices:
        errors[index] = CannotSend(shorten(items[index]), reason)
    return None


def _failure(
    item: object, kind: int, name: str, message: str, trace: str, survivor: bytes | None
) -> BaseException:
    if kind == transport.NOT_LOADED:
        return CannotSend(shorten(item), f"{name}: {message} (in the worker process)")
    if kind == transport.NOT_PACKED:
        return CannotReturn(shorten(item), f"{name}: {message}")
    error: BaseException = RemoteError(name, message, trace)
    if survivor is not None:
        try:
            loaded = transport.unpack_apart(survivor)
            error = loaded if isinstance(loaded, Exception) else error
        except Exception as broken:
            error.add_note(f"The error itself could not be loaded here: {describe_error(broken)}")
    error.add_note(f"In the worker process:\n{trace}")
    return error
