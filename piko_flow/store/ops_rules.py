"""When a token is good."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from piko_flow.errors import RequestRefused
from piko_flow.store.ops_records import TokenRecord


def is_good(token: TokenRecord, now: datetime) -> bool:
    """Whether it lets in now."""
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def heir_of(token: TokenRecord, parent: TokenRecord | None, now: datetime) -> TokenRecord:
    """The token, good no longer than its parent. Raises RequestRefused where that one is not good."""
    if parent is None or not is_good(parent, now):
        came = "it was revoked, has expired or is gone"
        raise RequestRefused(what="make a token by another", rule="that one has to be good", came=came)
    if parent.expires_at is None:
        return token
    return replace(token, expires_at=min(token.expires_at or parent.expires_at, parent.expires_at))
