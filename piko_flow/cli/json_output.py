"""Standard output for programs: one JSON document."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from typing import Any

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2


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


def write_json(values: Mapping[str, Any]) -> None:
    """Write one JSON document to standard output; a number that JSON cannot say becomes null, anything else its repr."""
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
