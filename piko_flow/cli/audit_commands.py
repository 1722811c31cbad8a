"""`piko-flow audit`: what was changed, and by whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.asking_commands import asks
from piko_flow.cli.control_arguments import Limit

if TYPE_CHECKING:
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane_audits import AuditPage

app = typer.Typer(help="What was changed, and by whom.", no_args_is_help=True)
TITLES = ("change", "at", "who", "via", "action", "subject", "before", "after")


@app.callback()
def changes() -> None:
    """What was changed, and by whom."""


@app.command("list")
@asks(code=False, times=True)
def list_changes(
    asking: Asking,
    subject: Annotated[
        str | None,
        typer.Option(
            help='Only of this one, as the list names it: "flow orders", "run 12".', show_default=False
        ),
    ] = None,
    before: Annotated[
        int | None,
        typer.Option(help="Only changes before this number, to go on after a page.", show_default=False),
    ] = None,
    limit: Limit = 20,
) -> None:
    """List changes that people and programs made, the newest first."""
    from piko_flow.control.operations.view_values import audit_values

    page = asking.ask(lambda plane: plane.audit(subject=subject, before=before, limit=limit))
    asking.answer(
        lambda: {"changes": [audit_values(one) for one in page.changes], "before": page.before},
        lambda: _show(page, asking.times()),
    )


def _told(text: str) -> str | None:
    """What was or became, without the marks of JSON around it."""
    if not text:
        return None
    values = json.loads(text)
    return ", ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
    )


def _show(page: AuditPage, times: Times) -> None:
    from piko_flow.cli.tables import show_table, when

    rows = [
        (
            one.id,
            when(one.at, times),
            one.who,
            one.via,
            one.action,
            one.subject,
            _told(one.before),
            _told(one.after),
        )
        for one in page.changes
    ]
    show_table(
        TITLES,
        rows,
        right={"change"},
        wraps={"before", "after", "subject", "who"},
        drops=("via",),
        notes={"at": times.name},
        empty="nothing was changed",
    )
    if page.before is not None:
        typer.echo(f"There are more: --before {page.before}")
