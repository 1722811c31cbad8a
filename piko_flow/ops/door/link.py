"""The link that logs a browser in, as a terminal shows it."""

from __future__ import annotations

from ipaddress import ip_address

from piko_flow.errors import RequestRefused, StoreUnavailable
from piko_flow.ops.door.tokens import LINK_LASTS, issue_link
from piko_flow.ops.process import Process
from piko_flow.store.ops_records import Role

MINUTES = int(LINK_LASTS.total_seconds() // 60)
ANOTHER = "Another one: piko-flow token link"


def link_at(base: str, secret: str) -> str:
    """The whole address of the link, on a server at `base`."""
    return f"{base.rstrip('/')}/login?token={secret}"


def address_of(host: str, port: int) -> str:
    """Where a browser of this computer finds a server that is bound to the host and the port."""
    try:
        bound = ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if bound.is_unspecified:  # bound to all addresses, of which this computer's own is one
        return f"http://127.0.0.1:{port}"
    return f"http://[{bound}]:{port}" if bound.version == 6 else f"http://{bound}:{port}"


async def welcome(process: Process, host: str, port: int) -> str:
    """What a terminal shows once the server answers: a new link, or why there is none."""
    try:
        secret = await process.ask(lambda plane: issue_link(plane, Role.ADMIN))
    except (StoreUnavailable, RequestRefused) as error:
        return f"There is no link to log in yet: {error}. {ANOTHER}"
    link = link_at(address_of(host, port), secret)
    return f"Open the console within {MINUTES} minutes; this link is good once:\n\n    {link}\n\n{ANOTHER}"
