"""W3C traceparents: where a span belongs, as text."""

from __future__ import annotations

import re

SHAPE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def trace_of(parent: str) -> str:
    """The id of the trace that a traceparent names; empty for a text that is none."""
    found = SHAPE.fullmatch(parent)
    return "" if found is None else found[1]
