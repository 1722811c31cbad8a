"""`piko-flow token`: who may come in over HTTP."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.asking_commands import asks
from piko_flow.store.ops_records import Role

if TYPE_CHECKING:
    from datetime import datetime

    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.control.operations.plane_replicas import LeaderView
    from piko_flow.store.ops_records import TokenRecord

app = typer.Typer(help="Tokens for programs, and links that log a browser in.", no_args_is_help=True)
TITLES = ("token", "name", "role", "state", "created", "by", "used", "expires")
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
NEVER = "never"
LONGEST = timedelta(days=36_500)


def lasting(text: str) -> timedelta | None:
    """`90d`, `12h` or `2w` as a span, `never` as None."""
    if text.strip().lower() == NEVER:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,5})([hdw])", text.strip().lower())
    if found is None:
        raise typer.BadParameter(
            f"it is a number of hours, days or weeks (12h, 90d, 2w) or never, got {text!r}"
        )
    span = int(found[1]) * UNITS[found[2]]
    if span > LONGEST:
        raise typer.BadParameter(f"it is at most {LONGEST.days} days, got {text!r}; never is possible, too")
    return span


RoleName = Annotated[
    Role, typer.Option(help="viewer looks, operator acts on flows, admin manages tokens and audits, too.")
]
Expires = Annotated[
    str, typer.Option(metavar="SPAN", help="For how long it is good: 12h, 90d, 2w, or never.")
]


@app.command("create")
@asks(code=False)
def create_token(
    asking: Asking,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Who uses it; audits tell it.", show_default=False)
    ],
    role: RoleName = Role.VIEWER,
    expires: Expires = "90d",
) -> None:
    """Make a token for a program. It is printed once, alone on standard output, and kept nowhere."""
    from piko_flow.ops.door.tokens import issue_token

    span = lasting(expires)
    made, secret = asking.ask(lambda plane: issue_token(plane, name, role, lasting=span))

    def show() -> None:
        until = "for ever" if made.expires_at is None else f"until {made.expires_at:%Y-%m-%d %H:%M} UTC"
        typer.echo(f"token {made.id} ({made.name}, {made.role}) is good {until}:", err=True)
        typer.echo(secret)

    asking.answer(lambda: {"token": values(made), "secret": secret}, show)


@app.command("list")
@asks(code=False, times=True)
def list_tokens(asking: Asking) -> None:
    """List the tokens of programs, the newest first; secrets are known to nobody."""

    async def ask(plane: ControlPlane) -> tuple[datetime, list[TokenRecord]]:
        return await plane.now(), await plane.store.tokens()

    now, found = asking.ask(ask)
    asking.answer(
        lambda: {"tokens": [values(one) | {"state": state(one, now)} for one in found]},
        lambda: _show(found, now, asking.times()),
    )


@app.command("revoke")
@asks(code=False)
def revoke(
    asking: Asking,
    which: Annotated[
        str, typer.Argument(metavar="TOKEN", help="Its number or its name.", show_default=False)
    ],
) -> None:
    """Revoke a token, with the browsers that were logged in by it; each replica sees it within two seconds.

    The number may be that of a session, as the audit has it: then that browser is logged out.
    """
    from piko_flow.ops.door.tokens import revoke_token

    gone = asking.ask(lambda plane: revoke_token(plane, which))
    asking.answer(
        lambda: {"token": values(gone)}, lambda: typer.echo(f"token {gone.id} ({gone.name}) is revoked")
    )


@app.command("link")
@asks(code=False)
def link(
    asking: Asking,
    role: RoleName = Role.ADMIN,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where the server is, such as https://flows.example.com; without it where a living replica says it is, "
            "one of this computer first.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print a link that logs one browser in, once, within ten minutes."""
    from piko_flow.ops.door.link import link_at
    from piko_flow.ops.door.tokens import issue_link

    if url is not None and not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"--url begins with http:// or https://, got {url!r}")

    async def ask(plane: ControlPlane) -> tuple[str, LeaderView]:
        return await issue_link(plane, role), await plane.leader()

    secret, view = asking.ask(ask)
    made = link_at(url or _address(asking, view), secret)
    asking.answer(lambda: {"link": made}, lambda: typer.echo(made))


def _address(asking: Asking, view: LeaderView) -> str:
    """Where a living replica answers, one of this computer first; as the settings say where none tells."""
    import socket

    from piko_flow.cli.application import settings_in_force
    from piko_flow.ops.door.link import address_of

    here = socket.gethostname()
    serving = [one for one in view.replicas if one.address and view.alive(one)]
    serving.sort(key=lambda one: one.host != here)
    if not serving:
        settings = settings_in_force(asking.database)
        found = address_of(settings.health_host, settings.health_port)
        typer.echo(
            f"note: no living replica says where it answers; {found} is what the settings say", err=True
        )
        return found
    if serving[0].host != here:
        note = f"note: {serving[0].host} serves at {serving[0].address}; name it as your browser reaches it with --url"
        typer.echo(note, err=True)
    return serving[0].address


def values(token: TokenRecord) -> dict[str, Any]:
    """What a document tells of a token: not its digest."""
    names = ("id", "name", "role", "created_by", "created_at", "expires_at", "revoked_at", "used_at")
    return {name: getattr(token, name) for name in names}


def state(token: TokenRecord, now: datetime) -> str:
    """Whether a token is good, and why not."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "good"


def _show(found: list[TokenRecord], now: datetime, times: Times) -> None:
    from piko_flow.cli.tables import show_table, when

    show_table(
        TITLES,
        [
            (
                one.id,
                one.name,
                one.role,
                state(one, now),
                when(one.created_at, times),
                one.created_by,
                when(one.used_at, times),
                NEVER if one.expires_at is None else when(one.expires_at, times),
            )
            for one in found
        ],
        right={"token"},
        wraps={"name", "by"},
        drops=("by", "created", "used"),
        notes={"created": times.name},
        empty="no token: piko-flow token create NAME makes one",
    )
