"""A message that a change leaves for the page to which it redirects; one that not all went well stays on the next pages
until somebody closes it.

It is in a cookie that only the visitor's session can read.

Browsers keep cookies by host without port: the port is in the name, so that another application of the same host leaves the
message alone; and it is signed with what the session proves itself with, so that nobody else can have a page say something.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from piko_flow.ops.visitor import Visitor

COOKIE = "piko_told"
LONGEST = 600  # characters; a cookie holds 4 kB
SECONDS = 60
STAYS = 3600  # seconds, where not all went well
PASSING = "success"
TONES = frozenset({PASSING, "gap", "failed"})


@dataclass(frozen=True, slots=True)
class Flash:
    """What is told, and in which colour."""

    tone: str
    text: str

    @property
    def passes(self) -> bool:
        """Whether it is shown on one page only."""
        return self.tone == PASSING


def cookie_name(request: Request) -> str:
    """The cookie's name at the port that the browser sees; the door has looked at the Host header of all who have a session."""
    return f"{COOKIE}_{request.url.port or (443 if request.url.scheme == 'https' else 80)}"


def told(request: Request, to: str, text: str, *, tone: str = PASSING) -> RedirectResponse:
    """Redirect to a page of this application, which tells the text. Who has no session is told nothing."""
    response = RedirectResponse(to, 303)
    proof = _proof(request)
    if proof:
        words = f"{tone}:{text[:LONGEST]}".encode()
        value = f"{urlsafe_b64encode(words).decode()}.{_signature(proof, words)}"
        secure = request.url.scheme == "https"
        response.set_cookie(
            cookie_name(request),
            value,
            max_age=SECONDS if tone == PASSING else STAYS,
            httponly=True,
            samesite="strict",
            secure=secure,
        )
    return response


def taken(request: Request) -> Flash | None:
    """The message that waits; None where there is none, or one that was not written for this session."""
    proof = _proof(request)
    if not proof:
        return None
    value, _, signature = request.cookies.get(cookie_name(request), "").partition(".")
    try:
        words = urlsafe_b64decode(value.encode())
        if not hmac.compare_digest(_signature(proof, words).encode(), signature.encode()):
            return None
        tone, colon, text = words.decode().partition(":")
    except (NotBase64, UnicodeError, ValueError):
        return None
    return Flash(tone, text[:LONGEST]) if colon and tone in TONES else None


def forget(request: Request, response: Response) -> None:
    """The message is to be shown no more."""
    response.delete_cookie(cookie_name(request), httponly=True, samesite="strict")


def _proof(request: Request) -> str:
    """What only the visitor's session and this application know; empty for a program, and at the login."""
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    return visitor.csrf if visitor is not None else ""


def _signature(proof: str, words: bytes) -> str:
    return hmac.new(proof.encode(), b"a message: " + words, hashlib.sha256).hexdigest()
