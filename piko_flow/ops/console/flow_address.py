"""Where the page of a flow is."""

from __future__ import annotations

from urllib.parse import quote


def flow_address(name: str) -> str:
    """The path of the flow's page, whatever its name has in it."""
    return f"/flows/{quote(name, safe='')}"
