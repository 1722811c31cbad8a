"""Numbers with their nouns, as people read them."""

from __future__ import annotations


def counted(number: int, thing: str, things: str = "") -> str:
    """`1 row`, `1,234 rows`; `things` is the plural where an s does not make it."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def are(number: int) -> str:
    """`is` for one, else `are`."""
    return "is" if number == 1 else "are"
