"""Sessions of browsers: how one is opened with a token or a link, and how it ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.errors import RequestRefused
from piko_flow.ops.door.token_secrets import digest_of, new_secret
from piko_flow.store.ops_records import TokenKind, TokenRecord

SESSIONS: Final = 50
"""How many sessions that one token opened are good at once."""


async def open_session(
    plane: ControlPlane, secret: str, *, kind: TokenKind, lasting: timedelta
) -> tuple[TokenRecord, str] | None:
    """A session for who has this secret, with the session's own secret; None where it is no good secret of this kind.

    A link is used up by it. The session has the role of what opened it, ends with it, and lasts no longer. A token has
    SESSIONS at most: one more ends the oldest.
    """
    digest = digest_of(secret)
    if digest is None:
        return None
    # Looked at first: using up is for links alone, and must not revoke a token of another kind.
    found = await plane.store.token(digest)
    if found is None or found.kind is not kind:
        return None
    if kind is TokenKind.LOGIN:
        found = await plane.store.use_token(digest)
        if found is None:
            return None
    own = new_secret()
    session = TokenRecord(
        found.name,
        digest_of(own) or "",
        found.role,
        TokenKind.SESSION,
        created_by=found.created_by,
        expires_at=await plane.now() + lasting,
        parent=found.id if kind is TokenKind.API else found.parent,
    )
    try:
        made = await plane.store.add_token(session)
    except RequestRefused:  # what opened it was revoked a moment ago
        return None
    acting = plane.acting(made.name, "console")
    await acting.changed("session.open", f"session {made.id}")
    if made.parent:
        for number in await plane.store.keep_newest_sessions(made.parent, SESSIONS):
            await acting.changed("session.end", f"session {number}")
    return made, own


async def end_session(plane: ControlPlane, session: TokenRecord) -> None:
    """End the session, on every replica as soon as it looks again. Again changes nothing."""
    await plane.store.revoke_token(session.id)
    await plane.acting(session.name, "console").changed("session.end", f"session {session.id}")
