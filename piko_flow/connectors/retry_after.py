"""How long a service asks to wait before the next request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from piko_flow.clock import now


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the header `Retry-After` asks for, never below 0; None where there is none that can be read.

    It holds seconds, or a date, which is compared with the answer's own `Date`, so that the clocks of both sides
    need not agree.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    until = _date(asked)
    if until is None:
        return None
    answered = _date(headers.get("date", "")) or now().timestamp()
    return max(until - answered, 0.0)


def _date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
