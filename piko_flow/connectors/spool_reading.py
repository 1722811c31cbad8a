"""Rows of spool files as items again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from piko_flow.connectors.spool_file import Letter, Row, SpoolFile, Totals
from piko_flow.connectors.spool_items import ItemForms, Kept, joined
from piko_flow.connectors.spool_models import UnknownModel
from piko_flow.connectors.spool_pieces import Piece

_SPOILED: Final = (ValueError, TypeError, KeyError)
UNREADABLE: Final = (UnknownModel, *_SPOILED)
"""What making items of a row again raises: its model is not known, or its JSON is none that makes them."""


def items_of(rows: Sequence[Row], forms: ItemForms) -> list[Any]:
    """The items of the rows in order. Raises UnknownModel and ValueError where one cannot be made again."""
    items: list[Any] = []
    for kind, several in groupby(rows, key=lambda row: row.kept.kind):
        items += forms.decode(kind, joined([row.kept.body for row in several]))
    return items


def keys_of(file: SpoolFile, rows: Sequence[Row]) -> Iterator[str]:
    """The keys of the items: those that were given, or file, list and place."""
    for row in rows:
        if row.keys is not None:
            yield from row.keys
        else:
            yield from (f"{file.name}-{row.number}-{place}" for place in range(row.kept.items))


def carry_over(damaged: SpoolFile, other: SpoolFile) -> Totals:
    """Add to another file, inside of `changing`, what can be read of a damaged one; the items keep their keys."""
    items = size = failing = letters = letter_size = 0
    for row in damaged.readable_rows():
        other.add(row.kept, row.origin, row.accepted_at, list(keys_of(damaged, [row])), row.tries)
        items, size = items + row.kept.items, size + len(row.kept.body)
        failing += row.tries > 0
    for letter in damaged.readable_letters():
        other.add_letter(letter)
        letters, letter_size = letters + 1, letter_size + len(letter.kept.body)
    return Totals(items, size, failing, letters, letter_size)


def pieces_of(file: SpoolFile, rows: Sequence[Row], items: Sequence[Any]) -> list[Piece]:
    """The items with their rows, places and keys."""
    places = ((row, place) for row in rows for place in range(row.kept.items))
    return [
        Piece(item, row, place, key)
        for item, (row, place), key in zip(items, places, keys_of(file, rows), strict=True)
    ]


def readable(rows: Sequence[Row], forms: ItemForms) -> tuple[list[Row], str]:
    """Those whose models are known, and what is the matter with the others."""
    known, reason = [], ""
    for row in rows:
        try:
            forms.decode(row.kept.kind, b"[]")
            known.append(row)
        except UnknownModel as error:
            reason = str(error)
    return known, reason


def pieces_one_by_one(file: SpoolFile, rows: Sequence[Row], forms: ItemForms) -> list[Piece]:
    """The items of rows of which some cannot be made again: those are hopeless, and their JSON stands for them."""
    pieces = []
    for row in rows:
        for place, (key, raw) in enumerate(zip(keys_of(file, [row]), _raw(row), strict=False)):
            try:
                (item,) = forms.decode(row.kept.kind, raw)
                pieces.append(Piece(item, row, place, key))
            except _SPOILED as error:
                pieces.append(Piece(json.loads(raw)[0], row, place, key, error, hopeless=True))
    return pieces


def kept_piece(piece: Piece) -> Kept:
    """The bytes of one item, cut from those of its row."""
    if piece.row.kept.items == 1:
        return piece.row.kept
    return Kept(piece.row.kept.kind, _raw(piece.row)[piece.place], 1)


def payload_of(letter: Letter, forms: ItemForms) -> Any:
    """The item of a dead letter; its JSON where it cannot be made again."""
    try:
        return forms.decode(letter.kept.kind, letter.kept.body)[0]
    except UNREADABLE:
        return json.loads(letter.kept.body)[0]


def _raw(row: Row) -> list[bytes]:
    """Each item of a row as a JSON array of its own."""
    return [json.dumps([item]).encode() for item in json.loads(row.kept.body)]
