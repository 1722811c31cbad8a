"""Which objects of a store a pattern names."""

from __future__ import annotations

import re
from glob import has_magic
from typing import Final

from piko_flow.connectors.object_store import ObjectStore

_PIECES: Final = re.compile(r"\*\*/|\*|\?|\[[!^]?\]?[^\]/]*\]|[^*?\[]+|\[")


def matching(store: ObjectStore, pattern: str) -> list[str]:
    """The keys that match, sorted; `*`, `?` and `[...]` as in the names of files, `**` for any depth.

    As there, no wildcard stands for a dot at the start of a name.
    """
    pieces = pattern.split("/")
    fixed = next(number for number, piece in enumerate(pieces) if has_magic(piece))
    fits = re.compile(translated(pattern), re.DOTALL)
    return sorted(key for key in store.keys("/".join(pieces[:fixed])) if fits.fullmatch(key))


def translated(pattern: str) -> str:
    """The pattern as a regular expression."""
    text, start = "", True
    for piece in _PIECES.findall(pattern if not pattern.endswith("**") else f"{pattern}/*"):
        visible = r"(?!\.)" if start else ""
        if piece == "**/":
            text += r"(?:(?!\.)[^/]+/)*"
        elif piece == "*":
            text += visible + "[^/]*"
        elif piece == "?":
            text += visible + "[^/]"
        elif len(piece) > 2 and piece[0] == "[":
            inner = piece[1:-1].replace("\\", r"\\")
            text += f"{visible}[^/{inner[1:]}]" if inner[0] in "!^" else f"{visible}[{inner}]"
        else:
            text += re.escape(piece)
        start = piece.endswith("/")
    return text
