"""Standard output for programs: one JSON document."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from typing import Any

import typer

from piko_flow.cli.mistakes import explained
from piko_flow.dataflow.reports.facts import SHOWN
from piko_flow.errors import shorten

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
ERROR_FIELDS = ("run", "stage", "sink", "where", "reason")


@contextmanager
def standard_output_kept() -> Iterator[None]:
    """What anybody prints to standard output in the block goes to standard error, from this process and its children.

    Afterwards standard output is free for one document. What a thread prints that outlives the block is not held back.
    """
    with ExitStack() as stack:
        if sys.stdout is not None:
            sys.stdout.flush()
        with suppress(OSError):  # one of the two is closed: then there is nothing to keep apart
            kept = os.dup(STANDARD_OUTPUT)
            stack.callback(os.close, kept)
            os.dup2(STANDARD_ERROR, STANDARD_OUTPUT)
            stack.callback(os.dup2, kept, STANDARD_OUTPUT)
        stack.enter_context(redirect_stdout(sys.stderr))
        yield


@contextmanager
def failure_told() -> Iterator[None]:
    """An error that leaves the block is told in one JSON document before it goes on; an exit code is no error."""
    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        try:
            write_json(failure_values(error))
        except OSError:  # nobody reads it: the error itself is told on standard error
            output_given_up()
        raise


def failure_values(error: Exception) -> dict[str, Any]:
    """The outcome "failed", and what the error knows of itself; the item as text."""
    known = {
        name: getattr(error, name) for name in ERROR_FIELDS if isinstance(getattr(error, name, None), str)
    }
    item = getattr(error, "item", None)
    if item is not None:
        known["item"] = shorten(item, SHOWN)
    return {
        "outcome": "failed",
        "error": {"type": type(error).__name__, "message": explained(error)} | known,
    }


def output_given_up() -> None:
    """What standard output still holds, and what comes later, goes nowhere, so that nothing fails at the exit."""
    if sys.stdout is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def write_json(values: Mapping[str, Any]) -> None:
    """Write one JSON document to standard output; a number that JSON cannot say becomes null, anything else its repr."""
    if sys.stdout is None:
        raise OSError("standard output is closed")
    json.dump(plain(values), sys.stdout, indent=2, allow_nan=False, ensure_ascii=False, default=repr)
    sys.stdout.write("\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """The value with null for numbers that JSON cannot say, and with text for keys."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
