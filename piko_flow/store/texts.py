"""How long a text may be, column by column: what a person wrote is refused beyond it, what is only told is cut."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from piko_flow.errors import RequestRefused

NAMES: Final[Mapping[str, int]] = {
    "flow": 128,
    "schedule_type": 16,
    "schedule_expr": 512,
    "timezone": 64,
    "executor": 16,
    "concurrency_group": 64,
    "lease": 64,
    "replica": 128,
    "key": 191,
    "origin": 64,
    "unit": 191,
    "fingerprint": 128,
    "kind": 16,
    "state": 16,
    "token": 128,
    "digest": 64,
    "role": 16,
    "who": 128,
    "asked": 128,
    "episode": 64,
    "subject": 191,
}
"""Texts that tell things apart. Cut, they would mean another thing, so a longer one is refused."""

TOLD: Final[Mapping[str, int]] = {
    "reason": 64,
    "error_type": 64,
    "error_hash": 64,
    "error_msg": 512,
    "host": 128,
    "address": 191,
    "version": 64,
    "requested_by": 128,
    "cancel_requested": 128,
    "trace": 128,
    "stage": 191,
    "model": 191,
    "place": 191,
    "sink": 128,
    "paused": 255,
    "refused": 1024,
    "created_by": 128,
    "changed_by": 128,
    "via": 16,
    "action": 64,
    "changed": 191,
    "level": 16,
    "logger": 191,
    "message": 16_384,
    "told": 4_096,
}
"""Texts for people to read. A longer one is cut, and ends in an ellipsis then."""

LONGEST_SINK: Final = 64
NUL: Final = "\0"
NUL_SHOWN: Final = "\N{SYMBOL FOR NULL}"  # PostgreSQL has no place for the real one in a text
NOT_STORABLE: Final = "it may hold no NUL and no half of a surrogate pair"


def check(column: str, text: str) -> str:
    """The text as it is. Raises RequestRefused when it is longer than its column, or no database can keep it."""
    if len(text) > NAMES[column]:
        got = f"got {len(text)} characters, beginning {text[:40]!r}"
        raise RequestRefused(
            what=f"a text for {column}", rule=f"it may have {NAMES[column]} characters", got=got
        )
    return check_free(column, text)


def fits(column: str, text: str) -> bool:
    """Whether `check` takes the text."""
    return len(text) <= NAMES[column] and storable(text)


def check_free(column: str, text: str) -> str:
    """A text of any length, as it is. Raises RequestRefused when no database can keep it."""
    if not storable(text):
        raise RequestRefused(what=f"a text for {column}", rule=NOT_STORABLE, got=f"got {text[:40]!r}")
    return text


def cut(column: str, text: str) -> str:
    """The text, no longer than its column, and without what no database can keep."""
    limit = TOLD[column]
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return readable(text)


def short_sink(name: str) -> str:
    """The name of a sink, no longer than its column and still another one than that of any other sink."""
    if len(name) <= LONGEST_SINK:
        return name
    return f"{name[: LONGEST_SINK - 17]}-{sha256(name.encode()).hexdigest()[:16]}"


def readable(text: str) -> str:
    """The text with NULs and halves of surrogate pairs shown by other characters."""
    return text if storable(text) else text.replace(NUL, NUL_SHOWN).encode("utf-8", "replace").decode()


def storable(text: str) -> bool:
    """Whether every database keeps the text as it is."""
    if text.isascii():
        return NUL not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return NUL not in text
