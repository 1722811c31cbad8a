"""When a token is good, and how long an answer is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from piko_flow.errors import RequestRefused
from piko_flow.store.ops_records import KeptAnswer, TokenRecord

KEPT: Final = timedelta(hours=24)
"""How long an answer is given again."""
LOST: Final = timedelta(minutes=1)
"""After this a request that was not answered counts as lost with its process; longer than any may take."""


def is_good(token: TokenRecord, now: datetime) -> bool:
    """Whether it lets in now."""
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def heir_of(token: TokenRecord, parent: TokenRecord | None, now: datetime) -> TokenRecord:
    """The token, good no longer than its parent. Raises RequestRefused where that one is not good."""
    if parent is None or not is_good(parent, now):
        got = "it was revoked, has expired or is gone"
        raise RequestRefused(what="make a token by another", rule="that one has to be good", got=got)
    if parent.expires_at is None:
        return token
    return replace(token, expires_at=min(token.expires_at or parent.expires_at, parent.expires_at))


def is_over(answer: KeptAnswer, now: datetime, *, kept: timedelta, lost: timedelta) -> bool:
    """Whether the key is free again."""
    return answer.at is not None and answer.at < now - (kept if answer.status else lost)
