"""A message that a change leaves for the page to which it redirects."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

COOKIE = "piko_told"
LONGEST = 600  # characters; a cookie holds 4 kB
SECONDS = 60
TONES = frozenset({"success", "gap", "failed"})


@dataclass(frozen=True, slots=True)
class Flash:
    """What is told, and in which colour."""

    tone: str
    text: str


def told(request: Request, to: str, text: str, *, tone: str = "success") -> RedirectResponse:
    """Redirect to a page of this application, which tells the text once."""
    response = RedirectResponse(to, 303)
    value = urlsafe_b64encode(f"{tone}:{text[:LONGEST]}".encode()).decode()
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, value, max_age=SECONDS, httponly=True, samesite="strict", secure=secure)
    return response


def taken(request: Request) -> Flash | None:
    """The message that waits; None where there is none, or one that this application has not written."""
    try:
        tone, colon, text = (
            urlsafe_b64decode(request.cookies.get(COOKIE, "").encode()).decode().partition(":")
        )
    except (NotBase64, UnicodeError, ValueError):
        return None
    return Flash(tone, text[:LONGEST]) if colon and tone in TONES else None


def forget(response: Response) -> None:
    """The message has been shown."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
