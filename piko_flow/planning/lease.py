"""How long a lease may be trusted, on a clock that does not jump."""

from __future__ import annotations

from datetime import timedelta

LEASE = timedelta(seconds=9)
"""How long a leader's lease is unless a setting says otherwise."""


def trusted_until(asked_at: float, ttl: timedelta, margin: timedelta) -> float:
    """Up to when the holder may act, in the monotonic seconds of `asked_at`.

    The store counts the time of the lease from when it answers, which is later than the question; the margin is
    for clocks of different speed and for what has been sent and not arrived. Never later than `asked_at + ttl`.
    """
    return asked_at + max(ttl - max(margin, timedelta(0)), timedelta(0)).total_seconds()
