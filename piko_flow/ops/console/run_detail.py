"""Everything that the page of a run shows, read at one time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from piko_flow.control.dead_letters.replaying import REPLAY
from piko_flow.control.flows.told_times import Times
from piko_flow.control.operations.explained_facts import Line
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_runs import RunView
from piko_flow.control.operations.plane_triggers import RETRIED
from piko_flow.ops.console.run_log import LogPiece, read_on, read_piece
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import DeadLetterRecord, RunRecord

LETTERS = 20
OTHERS = 10  # runs of the same window that are told


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run and what is kept with it; `why` tells of the run as `view` shows it.

    `job` says that its flow is a plain job today. `log` is None where it was not asked for, `not_retried` why it cannot
    be tried again, empty where it can.
    """

    view: RunView
    job: bool
    why: tuple[Line, ...]
    not_retried: str
    log: LogPiece | None
    reports: Mapping[int, str]
    live: tuple[datetime, str] | None
    letters: list[DeadLetterRecord]
    others: list[RunRecord]
    replayed: list[DeadLetterRecord]
    now: datetime


async def read_run(
    plane: ControlPlane,
    number: int,
    *,
    before: int = 0,
    after: int | None = None,
    log: bool = True,
    times: Times,
) -> RunDetail:
    """Everything about a run, instants in sentences as `times` tells them. Refused when there is none of this number.

    Of its log the lines after `after`, else the last ones `before` a number, or of all.
    """
    view, store = (
        await plane.run(number, zone="UTC"),
        plane.store,
    )  # times are marked, whatever the flow's zone
    run = view.run
    why, now = await read_why(plane, run, times)
    piece = None
    if log:
        piece = (
            await read_piece(store, number, before=before)
            if after is None
            else await read_on(store, number, after=after)
        )
    return RunDetail(
        view=view,
        job=(flow := plane.registry.get(run.flow)) is not None and flow.kind == "job",
        why=why,
        not_retried=await plane.why_not_retried(run) if run.status in RETRIED else "",
        log=piece,
        reports=await store.reports(number),
        live=(await store.shown_live([number])).get(number) if run.status is RunStatus.RUNNING else None,
        letters=await store.dead_letters(run=number, limit=LETTERS) if run.dead_items else [],
        others=await read_others(plane, run),
        replayed=await store.dead_letters(replay_run=number, limit=LETTERS) if run.origin == REPLAY else [],
        now=now,
    )


async def read_why(plane: ControlPlane, run: RunRecord, times: Times) -> tuple[tuple[Line, ...], datetime]:
    """Why the run stands as it does, and the store's time."""
    flow = plane.registry.get(run.flow)
    well = run.status is RunStatus.SUCCESS
    if well and (run.window is None or flow is None or flow.after is None):
        return (), await plane.now()
    told = await plane.explain_run(run.id, times=times, seen=run)
    return told.lines[1:] if well else told.lines, told.now  # that it ended well, its head says


async def read_others(plane: ControlPlane, run: RunRecord) -> list[RunRecord]:
    """Other runs of the same window, newest first."""
    if run.window is None:
        return []
    alike = await plane.store.runs(RunFilter(flow=run.flow, window=run.window, limit=OTHERS + 1))
    return [one for one in alike if one.id != run.id][:OTHERS]
