"""What the API tells of dead letters."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from piko_flow.ops.api.answers.runs import Run
from piko_flow.ops.api.answers.values import Answer, Moment, Window


class DeadLetter(Answer):
    """An item that failed for good; what the item is tells the letter when it is shown by itself."""

    flow: str
    run: int
    stage: str
    error_type: str
    error_msg: str
    fingerprint: str
    id: int
    created_at: Moment | None
    model: str
    batch: bool
    sink: str
    item_key: str | None
    place: str
    trace: str
    window: Window | None
    params_version: int | None
    payload_file: str
    state: str
    attempt: int
    failed_at: Moment | None
    replay_run: int | None


class DeadLettersAnswer(Answer):
    """Letters, newest first; `before` asks for the next page, null after the last one."""

    letters: list[DeadLetter]
    before: int | None


class LetterGroup(Answer):
    """Open letters that failed alike."""

    flow: str
    fingerprint: str
    count: int
    first: Moment
    last: Moment
    example: DeadLetter


class LetterGroupsAnswer(Answer):
    """Groups; the one with the newest letter first."""

    groups: list[LetterGroup]


class Completeness(Answer):
    """Of the items that were dead in a run: how many were replayed, are open, were dropped, or only counted."""

    run: int
    replayed: int
    open: int
    dropped: int
    counted: int


class LetterView(Answer):
    """A letter with its item, or its text where only that was kept.

    `why_not` says why it cannot be replayed now, empty where it can, null where the flow's code is not known.
    `config_version` is the version of the row of parameters that its run had, as their history numbers it.
    """

    letter: DeadLetter
    item: Any
    text: str
    why_not: str | None
    window: Completeness | None
    config_version: int | None


class DeadLetterAnswer(Answer):
    """One letter."""

    letter: LetterView


class Replaying(Answer):
    """A run that was queued, and the letters that it replays."""

    run: Run
    letters: list[int]


class Untaken(Answer):
    """A letter that was not taken, and why."""

    letter: int
    reason: str


class Replays(Answer):
    """The runs that were queued, and what was left. With `more`, ask again when these have ended."""

    replays: list[Replaying]
    untaken: list[Untaken]
    more: bool


class ReplayAnswer(Answer):
    """What is replayed."""

    replay: Replays


class DroppedAnswer(Answer):
    """The numbers of the letters that were dropped."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"dropped": [3, 4]}]})

    dropped: list[int]
