"""The cookie that holds a session."""

from __future__ import annotations

from typing import Final

from piko_flow.ops.door.asked import Asked

NAME: Final = "piko_flow"


def cookie_name(asked: Asked) -> str:
    """The cookie's name: browsers keep cookies by host without port, so the port is in it; behind https it begins with
    `__Host-`, by which a browser takes it from nobody but this very host and sends it to no other."""
    return f"{'__Host-' if asked.secure else ''}{NAME}_{asked.port}"


def session_of(asked: Asked) -> str | None:
    """The secret in the cookie; None without one. Cookies of others beside it may be of any form."""
    wanted = cookie_name(asked)
    for header in asked.headers.get("cookie", ()):
        for one in header.split(";"):
            name, separator, value = one.strip().partition("=")
            if separator and name == wanted:
                return value
    return None


def session_cookie(asked: Asked, secret: str) -> str:
    """The header that makes the browser keep the session, until it is closed; how long it lasts the server decides."""
    return f"{cookie_name(asked)}={secret}; {_attributes(asked)}"


def no_session_cookie(asked: Asked) -> str:
    """The header that makes the browser forget the session."""
    return f"{cookie_name(asked)}=; Max-Age=0; {_attributes(asked)}"


def _attributes(asked: Asked) -> str:
    return f"Path=/; HttpOnly; SameSite=Strict{'; Secure' if asked.secure else ''}"
