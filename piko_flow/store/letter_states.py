"""What happens to a dead letter, as pure functions over records; see `applying`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from piko_flow.planning.run_state import LIVE
from piko_flow.store.records import DeadLetterRecord, RunRecord

OPEN, REPLAYED, DROPPED = "open", "replayed", "dropped"


def is_free(letter: DeadLetterRecord, replay: RunRecord | None) -> bool:
    """Whether the letter is open and no live run replays it. `replay` is the run that took it last, if it is there."""
    return letter.state == OPEN and (replay is None or replay.status not in LIVE)


def is_replayed_by(letter: DeadLetterRecord, run: int) -> bool:
    """Whether the letter is one that the run has to replay."""
    return letter.state == OPEN and letter.replay_run == run


def failed_again(letter: DeadLetterRecord, again: DeadLetterRecord, now: datetime) -> DeadLetterRecord:
    """The letter whose replay has failed as `again` says: open, with the new error; with its payload if it has one."""
    return replace(
        letter,
        state=OPEN,
        attempt=letter.attempt + 1,
        failed_at=now,
        payload=again.payload or letter.payload,
        error_type=again.error_type,
        error_msg=again.error_msg,
        fingerprint=again.fingerprint,
        place=again.place,
        trace=again.trace,
    )


def dropped(letter: DeadLetterRecord) -> DeadLetterRecord:
    """The letter without what the item was."""
    return replace(letter, state=DROPPED, payload="{}", trace="", payload_file="")
