"""Windows of backfills become rows, a few at a time."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from datetime import datetime
from functools import partial

from piko_flow.control.leader.draft import Draft
from piko_flow.control.leader.new_runs import backfill_run
from piko_flow.control.leader.reign import Reign
from piko_flow.errors import RequestRefused
from piko_flow.planning.backfill import feed
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.store.batch import Decided, Decision
from piko_flow.store.records import BackfillRecord, RunRecord

log = logging.getLogger("piko_flow.scheduler")

AHEAD = 2  # windows that wait for each that runs, so that a freed slot finds its next window queued


def feed_backfills(reign: Reign, draft: Draft) -> None:
    """Queue the next windows of every backfill that has room for them."""
    if not reign.backfills:
        return
    live = Counter(run.backfill for run in reign.live.values() if run.backfill is not None)
    for backfill in list(reign.backfills.values()):
        left = len(backfill.windows) - backfill.position
        if left == 0 and not live[backfill.id]:
            reign.done.append(backfill.id)
            del reign.backfills[backfill.id]
        room = min(backfill.concurrency * AHEAD - live[backfill.id], left)
        ready = backfill.state == "running" and backfill.id not in reign.fed
        if ready and (room > backfill.concurrency // 2 or room == left > 0):
            decide = partial(_decide, reign, backfill, room)
            draft.decide(Decision(backfill.flow, decide), partial(_decided, reign, backfill.id))


def _decide(reign: Reign, backfill: BackfillRecord, room: int, state: FlowState, now: datetime) -> Decided:
    windows, position = feed(state, backfill.windows, backfill.position, room=room, kind=backfill.kind)
    runs = tuple(backfill_run(reign, state, backfill, window, now) for window in windows)
    return Decided(Change(state, tuple(windows)), runs, (backfill.id, position))


def _decided(reign: Reign, backfill: int, result: tuple[Decided, list[RunRecord]] | Exception) -> None:
    if isinstance(result, Exception):
        if not isinstance(result, RequestRefused):  # which says that somebody has cancelled it
            log.error("the windows of backfill %d cannot be queued", backfill, exc_info=result)
        reign.backfills.pop(backfill, None)
        return
    decided, runs = result
    for run in runs:
        reign.add(run)
    record = reign.backfills.get(backfill)
    if record is not None and decided.backfill is not None:
        reign.backfills[backfill] = replace(record, position=decided.backfill[1])
        if not runs and record.position == decided.backfill[1]:
            reign.fed.add(backfill)  # a live run is in the way of its next window
