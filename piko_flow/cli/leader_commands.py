"""`piko-flow leader`: who leads, and which replicas there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.asking_commands import asks

if TYPE_CHECKING:
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane_replicas import LeaderView
    from piko_flow.store.records import ReplicaRecord

app = typer.Typer(help="Who leads, and which replicas there are.", no_args_is_help=True)
TITLES = ("replica", "host", "process", "slots", "running", "version", "since", "alive until", "")


@app.command("show")
@asks(code=False, times=True)
def show_leader(asking: Asking) -> None:
    """Show who leads until when, and the replicas."""
    view = asking.ask(lambda plane: plane.leader(counted=True))
    asking.answer(lambda: {"leader": view}, lambda: _show(view, asking.times()))


@app.command("resign")
@asks(code=False)
def resign(asking: Asking) -> None:
    """End the leader's lease; another replica leads then, or the same one again where there is no other."""
    lease = asking.ask(lambda plane: plane.resign_leader())
    told = f"the lease of {lease.holder} in term {lease.term} has ended; its runs go on"
    asking.answer(lambda: {"ended": lease}, lambda: typer.echo(told))


def _show(view: LeaderView, times: Times) -> None:
    from piko_flow.cli.tables import show_facts, show_table, when

    lease = view.lease
    show_facts(
        [
            ("leader", _who(view, times)),
            ("lease", view.name),
            ("term", lease.term if lease is not None else ""),
            ("until", when(lease.until, times) if lease is not None and view.leads else ""),
            ("now", when(view.now, times)),
            ("times in", times.name),
        ]
    )
    typer.echo("")
    show_table(
        TITLES,
        [_row(one, view, times) for one in view.replicas],
        right={"process", "slots", "running"},
        wraps={"replica", "host"},
        drops=("since", "version", "host", "process"),
        empty="no replica",
    )


def _who(view: LeaderView, times: Times) -> str:
    from piko_flow.cli.tables import when

    if not view.elected:
        return "there is no election (setting leader_enabled): each replica leads for itself"
    if view.lease is None:
        return "nobody, and nobody has led yet"
    return view.lease.holder if view.leads else f"nobody since {when(view.lease.until, times)}"


def _row(one: ReplicaRecord, view: LeaderView, times: Times) -> tuple[object, ...]:
    from piko_flow.cli.tables import when

    alive = view.alive(one)
    until = "by its lease" if view.holds(one) else when(one.until, times)
    since = when(one.started_at, times)
    return (
        one.id,
        one.host,
        one.pid,
        one.slots,
        one.running,
        one.version,
        since,
        until,
        "" if alive else "dead",
    )
