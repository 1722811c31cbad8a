"""Dead letters of what was emitted to a registered sink: whose they are, and their items as the sink takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from piko_flow.control.dead_letters.dead_letters import record_of
from piko_flow.control.dead_letters.letter_files import LetterFiles
from piko_flow.control.flows.run_context import Emitted
from piko_flow.control.params.redaction import Redaction
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.store.records import DeadLetterRecord


class Emitter(Protocol):
    """Whoever has emitted an item."""

    redaction: Redaction


def letter_records(
    sink: str,
    letters: Sequence[DeadLetter],
    taken: Sequence[tuple[Emitted, Emitter]],
    files: LetterFiles | None = None,
) -> list[DeadLetterRecord]:
    """The letters of items that were written together."""
    return [_record(sink, letter, taken, files) for letter in letters]


def _record(
    sink: str,
    letter: DeadLetter,
    taken: Sequence[tuple[Emitted, Emitter]],
    files: LetterFiles | None,
) -> DeadLetterRecord:
    """The letter of an item among those that were written together, with the flow, the run and the key of whoever
    emitted it; where stages before the sink have made another item of it, of the first of them.
    """
    items = letter.items
    origin, emitter = next(
        (one for one in taken if any(item is one[0] or item is one[0].payload for item in items)), taken[0]
    )
    plain = [item.payload if isinstance(item, Emitted) else item for item in items]
    unwrapped = replace(letter, item=plain if letter.batch else plain[0])
    record = record_of(origin.flow, unwrapped, redaction=emitter.redaction, files=files, sink=sink)
    return replace(record, run=origin.run, item_key=None if letter.batch else origin.key)


def emitted_again(letter: DeadLetterRecord, item: Any) -> Emitted:
    """The item as a sink gets it that takes Emitted values."""
    return Emitted(item, letter.sink, letter.item_key, letter.flow, letter.run, letter.created_at)
