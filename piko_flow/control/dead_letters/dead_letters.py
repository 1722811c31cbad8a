"""Dead letters as they are stored: what is kept of an item that failed for good, and of its error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Any

from piko_flow.control.dead_letters.letter_files import LARGEST, LetterFiles
from piko_flow.control.params.payload import LONGEST, StoredPayload, kind_of
from piko_flow.control.params.redaction import NOTHING_HIDDEN, Redaction
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.planning.window import Window
from piko_flow.store.records import DeadLetterRecord, RunRecord

# Characters of all payloads of a run that are kept; the other items are only counted.
LETTERS = 4 * 1024 * 1024


def records_of(
    run: RunRecord,
    letters: Iterable[DeadLetter],
    *,
    redaction: Redaction = NOTHING_HIDDEN,
    files: LetterFiles | None = None,
    window: Window | None = None,
) -> tuple[DeadLetterRecord, ...]:
    """The dead letters of a run as they are stored: the first ones, as far as the bound on their size goes.

    `window` is what the run has worked over where that is not its own, as the window of letters that it replays.
    """
    records, room = [], LETTERS
    window = window or run.window
    for letter in letters:
        record = record_of(run.flow, letter, redaction=redaction, files=files)
        room -= len(record.payload)
        if room < 0:
            break
        records.append(replace(record, run=run.id, window=window, params_version=run.params_version))
    return tuple(records)


def record_of(
    flow: str,
    letter: DeadLetter,
    *,
    redaction: Redaction = NOTHING_HIDDEN,
    files: LetterFiles | None = None,
    sink: str = "",
) -> DeadLetterRecord:
    """One dead letter as it is stored, of no run yet. `sink` is the registered sink that its item was for.

    The payload of a large item goes to `files`; without them, or where it has no room there, its beginning is kept.
    """
    kept = stored(letter, redaction)
    payload, file = kept.item.text, ""
    if files is not None and not isinstance(letter.item, StoredPayload) and not _is_whole(payload):
        whole = stored(letter, redaction, most=LARGEST).item.text
        file = files.keep(whole) if _is_whole(whole) else ""
    alike = f"{flow}\n{sink}\n{kept.stage}\n{kept.error_type}\n{kept.place}"
    return DeadLetterRecord(
        flow=flow,
        run=0,
        stage=kept.stage,
        payload=payload,
        error_type=kept.error_type,
        error_msg=kept.error,
        fingerprint=sha256(alike.encode(errors="backslashreplace")).hexdigest()[:32],
        model=json.loads(payload).get("model" if kept.batch else "type", ""),
        batch=kept.batch,
        sink=sink,
        place=kept.place,
        trace=kept.trace,
        payload_file=file,
    )


def stored(letter: DeadLetter, redaction: Redaction = NOTHING_HIDDEN, *, most: int = LONGEST) -> DeadLetter:
    """The letter as it may be stored: its item is a StoredPayload, and what is to be hidden of it is told nowhere.

    The payload of a batch has the number of its `items`, and their class as `model` where they are of one. `exact` is
    false in that of a dictionary, list or the like with values that JSON does not tell apart from texts and lists.
    """
    item = letter.item
    text = redaction.payload(item, most=most)
    if letter.batch and not isinstance(item, StoredPayload):
        kinds = {kind_of(one) for one in item}
        model = kinds.pop() if len(kinds) == 1 else ""
        text = f'{text[:-1]},"model":{json.dumps(model)},"items":{len(item)}}}'
    if not isinstance(item, StoredPayload) and _is_whole(text) and not _all_exact(letter):
        text = f'{text[:-1]},"exact":false}}'
    error, trace = redaction.text(letter.error, item), redaction.text(letter.trace, item)
    return replace(letter, item=StoredPayload(text), error=error, trace=trace)


def count_of(letter: DeadLetterRecord) -> int:
    """How many items of its run the letter stands for: of a batch all that failed together at first."""
    if not letter.batch:
        return 1
    count = json.loads(letter.payload).get("items")
    return count if isinstance(count, int) else 1


def _is_whole(payload: str) -> bool:
    """Whether it has the item, and not only a text for people."""
    return "value" in json.loads(payload)


def _all_exact(letter: DeadLetter) -> bool:
    return all(map(_is_exact, letter.items))


def _is_exact(item: Any, *, inside: bool = False) -> bool:
    """Whether its class, or that alone and JSON, tell what the item was."""
    if isinstance(item, dict):
        plain = all(isinstance(name, str) and _is_exact(one, inside=True) for name, one in item.items())
        return plain and (not inside or type(item) is dict)
    if isinstance(item, list | tuple | set | frozenset):
        plain = all(_is_exact(one, inside=True) for one in item)
        return plain and (not inside or type(item) is list)
    if isinstance(item, float) and not math.isfinite(item):
        return not inside
    return not inside or item is None or type(item) in (str, int, float, bool)
