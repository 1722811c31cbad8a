"""What the API tells of backfills."""

from __future__ import annotations

from typing import Any

from piko_flow.ops.api.answers.values import Answer, Moment, Window


class Backfill(Answer):
    """A backfill: its windows in the order they run, and how many of them have had their turn (`position`)."""

    id: int
    flow: str
    kind: str
    start: Moment
    end: Moment
    windows: list[Window]
    newest_first: bool
    concurrency: int
    state: str
    position: int
    requested_by: str
    created_at: Moment | None


class BackfillView(Answer):
    """A backfill and how far it is: its runs by state, the share that needs nothing more, the windows left.

    `outcome` is its state, and "failed" where it has ended by itself and runs of it failed.
    """

    backfill: Backfill
    counts: dict[str, int]
    done: float
    left: int
    outcome: str


class BackfillsAnswer(Answer):
    """Backfills, the newest first."""

    backfills: list[BackfillView]


class BackfillShownAnswer(Answer):
    """One backfill and how far it is."""

    backfill: BackfillView


class BackfillAnswer(Answer):
    """A backfill as it is now."""

    backfill: Backfill


class BackfillRequest(Answer):
    """What the backfill is asked to do."""

    flow: str
    span: Window
    kind: str
    newest_first: bool
    concurrency: int


class WindowPart(Answer):
    """A part of a window, and the whole."""

    part: Window
    whole: Window


class BackfillPlan(Answer):
    """What a backfill would do; `digest` names the plan, `estimate` guesses its seconds, null where nobody knows.

    `parts` are the windows that an edge of the range has cut.
    """

    request: BackfillRequest
    windows: list[Window]
    params: dict[str, Any]
    estimate: float | None
    digest: str
    zone: str
    parts: list[WindowPart]


class BackfillPlanAnswer(Answer):
    """A plan; nothing was changed."""

    plan: BackfillPlan
