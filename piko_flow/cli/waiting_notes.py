"""What a person should know of runs and backfills that wait: that nobody is there who would start them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from piko_flow.planning.run_state import LIVE, Reason

if TYPE_CHECKING:
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.store.records import RunRecord


async def waiting_notes(plane: ControlPlane, run: RunRecord, times: Times) -> list[str]:
    """That nobody leads, or that the code is not here, where it is so, each with what to do; empty where all is well."""
    if run.status not in LIVE:
        return []
    lines = (await plane.explain_run(run.id, times=times.exact)).lines
    told = [one for one in lines if one.reason in (Reason.UNREGISTERED, Reason.NO_LEADER)]
    return [f"{one.text}. {one.advice}" if one.advice else one.text for one in told]


async def leader_notes(plane: ControlPlane) -> list[str]:
    """That nobody leads, with what to do; empty where somebody does, or each replica for itself."""
    from piko_flow.control.flows.reasons import MEANINGS

    view = await plane.leader()
    if view.leads or not view.elected:
        return []
    meaning = MEANINGS[Reason.NO_LEADER]
    return [f"{meaning.text}. {meaning.advice}"]


def show_notes(notes: Iterable[str]) -> None:
    """Write the notes to standard error."""
    for note in notes:
        typer.echo(f"note: {note}", err=True)
