"""Which windows of the past a backfill runs, and which of them are queued next."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from typing import Literal, TypeAlias

from piko_flow.errors import RequestRefused
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.ledger import SETTLED, Mark, clip, joined, minus
from piko_flow.planning.moment import EARLIEST
from piko_flow.planning.trigger import Trigger, fires, last_fire
from piko_flow.planning.window import Window, window_around

BackfillKind: TypeAlias = Literal["gap", "missing", "failed", "all"]
KINDS: tuple[BackfillKind, ...] = ("gap", "missing", "failed", "all")
MOST_WINDOWS = 100_000
STEP = 2_000  # windows that one feeding looks at; the next goes on from there

# What a run of the backfill would not change for the better.
DONE_FOR = {
    "gap": SETTLED,
    "missing": frozenset({Mark.DONE, Mark.INCOMPLETE}),
    "failed": frozenset({Mark.DONE, Mark.SKIPPED}),
    "all": frozenset[Mark](),
}


def plan_backfill(
    state: FlowState,
    trigger: Trigger,
    *,
    kind: str,
    span: Window,
    now: datetime,
    newest_first: bool = False,
    limit: int = MOST_WINDOWS,
) -> tuple[Window, ...]:
    """The windows inside the span that the backfill would run, in the order in which it would run them.

    `gap`: what was planned and is neither settled nor worked on, failed or not, and what failed elsewhere. `missing`: what nobody has run, and
    what was skipped. `failed`: what failed, and what was done with items missing. `all`: everything. They are cut by the trigger at its fires, at the edges of the span,
    and at what is to be left alone. Only what is over counts: windows that have ended, and whatever the flow's
    schedule has planned already. What a live run works on is left out, but for `all`. Raises RequestRefused
    for another kind, and where there are more windows than `limit`.
    """
    chosen = _kind(state, kind)
    windows = tuple(islice(_cut(_pieces(state, trigger, chosen, span, now), trigger), limit + 1))
    if len(windows) > limit:
        raise RequestRefused(
            what=f"backfill of {state.flow!r}",
            rule=f"one backfill has at most {limit} windows",
            got=f"{span} has more",
            advice=f"Ask for less at a time, for example up to {windows[limit].start.isoformat()}",
        )
    return windows[::-1] if newest_first else windows


def parts_at_edges(
    windows: Iterable[Window], trigger: Trigger, span: Window
) -> tuple[tuple[Window, Window], ...]:
    """Those of the windows that an edge of the span has cut, each with the whole one of the trigger."""
    found = []
    for window in windows:
        whole = window_around(trigger, window.start)
        starts_inside = window.start == span.start and whole is not None and whole.start < window.start
        ends_inside = window.end == span.end and whole is not None and window.end < whole.end
        if whole is not None and (starts_inside or ends_inside):
            found.append((window, whole))
    return tuple(found)


def plan_digest(windows: Iterable[Window]) -> str:
    """A short text that is another one when the plan is: apply is refused where it is not the one that was shown."""
    digest = blake2b(digest_size=8)
    for start, end in windows:
        digest.update(f"{start.isoformat()}/{end.isoformat()};".encode())
    return digest.hexdigest()


def feed(
    state: FlowState, windows: Sequence[Window], position: int, *, room: int, kind: str
) -> tuple[list[Window], int]:
    """The windows to queue next, about `room` of them, and the position after them.

    What has been settled meanwhile is passed over, but for `all`; of a window that has been settled in part the
    pieces left are queued together, even when they are more than `room`. A window that overlaps a live run
    stops the feeding until that run has ended.
    """
    chosen = _kind(state, kind)
    queued: list[Window] = []
    live = sorted(state.live_windows)  # no two of them overlap
    for window in windows[position : position + STEP]:
        if len(queued) >= room or _meets(window, live):
            break
        pieces = minus([window], state.ledger.marked(window, DONE_FOR[chosen]))
        if queued and len(queued) + len(pieces) > room:
            break
        queued += pieces
        position += 1
    return queued, position


def _meets(window: Window, live: Sequence[Window]) -> bool:
    """Whether the window overlaps one of the live ones, which are in order and apart."""
    place = bisect_left(live, window.end, key=_start)  # those before it begin before the window ends
    return place > 0 and live[place - 1].end > window.start


def _start(window: Window) -> datetime:
    return window.start


def _kind(state: FlowState, kind: str) -> BackfillKind:
    for known in KINDS:
        if kind == known:
            return known
    raise RequestRefused(
        what=f"backfill of {state.flow!r}", rule=f"the kind is one of {', '.join(KINDS)}", got=repr(kind)
    )


def _pieces(
    state: FlowState, trigger: Trigger, kind: BackfillKind, span: Window, now: datetime
) -> tuple[Window, ...]:
    """The stretches of the span to be run, in order, not yet cut into windows."""
    start, end = span.start, min(span.end, now)
    if kind in ("missing", "all"):  # the others take only what was planned or run, whatever cuts it today
        start, end = _expected_from(state, trigger, span), min(end, _over_until(state, trigger, now))
    if end <= start:
        return ()
    past = Window(start, end)
    if kind == "all":
        return (past,)
    ledger = state.ledger
    if kind == "gap":
        return tuple(piece for gap in state.gaps() if (piece := clip(gap, past)) is not None)
    if kind == "failed":
        found = ledger.marked(past, (Mark.FAILED, Mark.INCOMPLETE))
    else:
        skipped = ledger.marked(past, (Mark.SKIPPED,))
        found = joined(sorted((*ledger.untouched(past), *skipped)))
    return minus(found, state.live_windows)


def _expected_from(state: FlowState, trigger: Trigger, span: Window) -> datetime:
    """Before its first fire a trigger makes no windows: there only what has been planned is expected."""
    if last_fire(trigger, at=span.start) is not None:
        return span.start
    begins = (trigger.next_after(span.start), state.origin)
    return max(span.start, min((begin for begin in begins if begin is not None), default=span.end))


def _over_until(state: FlowState, trigger: Trigger, now: datetime) -> datetime:
    """Up to here windows have ended, by today's schedule or because they were planned by an older one."""
    ends = (last_fire(trigger, at=now), state.planned_until)
    return min(max((end for end in ends if end is not None), default=EARLIEST), now)


def _cut(pieces: Iterable[Window], trigger: Trigger) -> Iterator[Window]:
    for start, end in pieces:
        for fire in fires(trigger, after=start):
            if fire >= end:
                break
            yield Window(start, fire)
            start = fire
        yield Window(start, end)
