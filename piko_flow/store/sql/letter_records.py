"""Rows of `dead_letter` as records, and back."""

from __future__ import annotations

from typing import Any

from piko_flow.planning.window import Window
from piko_flow.store.records import DeadLetterRecord
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.dialects import Columns
from piko_flow.store.sql.statements import moment_text

LETTER: Columns = {
    "job_id": "text",
    "run_id": "int",
    "stage": "text",
    "payload": "long",
    "error_type": "text",
    "error_msg": "text",
    "fingerprint": "text",
    "model": "text",
    "is_batch": "bool",
    "sink": "text",
    "item_key": "long",
    "place": "text",
    "trace": "long",
    "data_time_start": "time",
    "data_time_end": "time",
    "params_version": "int",
    "payload_file": "long",
    "attempt": "int",
}
"""What a new letter's row is told; the rest has its defaults."""
READ = (*LETTER, "id", "created_at", "state", "failed_at", "replay_run")
COLUMNS = ", ".join(f"d.{name}" for name in READ)
"""The columns of a letter `d`, as `letter_record` takes them."""


def letter_row(letter: DeadLetterRecord) -> dict[str, Any]:
    """The columns in LETTER, instants as text."""
    window = letter.window
    return {
        "job_id": letter.flow,
        "run_id": letter.run,
        "stage": letter.stage,
        "payload": letter.payload,
        "error_type": letter.error_type,
        "error_msg": letter.error_msg,
        "fingerprint": letter.fingerprint,
        "model": letter.model,
        "is_batch": letter.batch,
        "sink": letter.sink,
        "item_key": letter.item_key,
        "place": letter.place,
        "trace": letter.trace,
        "data_time_start": None if window is None else moment_text(window.start),
        "data_time_end": None if window is None else moment_text(window.end),
        "params_version": letter.params_version,
        "payload_file": letter.payload_file,
        "attempt": letter.attempt,
    }


def letter_record(row: Any) -> DeadLetterRecord:
    """A row whose columns are those of COLUMNS."""
    told = dict(zip(READ, row, strict=True))
    start, end = read_moment(told["data_time_start"]), read_moment(told["data_time_end"])
    return DeadLetterRecord(
        flow=told["job_id"],
        run=told["run_id"],
        stage=told["stage"],
        payload=told["payload"],
        error_type=told["error_type"],
        error_msg=told["error_msg"],
        fingerprint=told["fingerprint"],
        id=told["id"],
        created_at=read_moment(told["created_at"]),
        model=told["model"],
        batch=bool(told["is_batch"]),
        sink=told["sink"],
        item_key=told["item_key"],
        place=told["place"],
        trace=told["trace"] or "",
        window=None if start is None or end is None or start >= end else Window(start, end),
        params_version=told["params_version"],
        payload_file=told["payload_file"] or "",
        state=told["state"],
        attempt=told["attempt"],
        failed_at=read_moment(told["failed_at"]),
        replay_run=told["replay_run"],
    )
