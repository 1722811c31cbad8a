"""How a spool works, checked where it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, NoReturn

from piko_flow.connectors.spool_errors import SpoolRefused
from piko_flow.counting import whole_number
from piko_flow.retry import LONGEST_TIME, Retry, seconds


@dataclass(frozen=True)
class SpoolOptions:
    """The options of a Spool, in items, bytes and seconds."""

    items: int
    bytes: int
    batch: int
    within: float
    timeout: float
    flush: float
    retry: Retry
    whole: bool


def checked_options(given: Mapping[str, Any], *, where: str) -> SpoolOptions:
    """The options. Raises SpoolRefused for the first that cannot be."""
    values = dict(given)

    def refuse(rule: str, got: str) -> NoReturn:
        raise SpoolRefused(what="Spool", where=where, rule=rule, got=got)

    for name in ("items", "bytes", "batch"):
        whole_number(name, values[name], refuse)
    for name, least in (("within", 0.0), ("timeout", 1e-6), ("flush", 0.0)):
        value = values[name]
        if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
            refuse(f"{name} must be a number of seconds or a timedelta", f"got {value!r}")
        values[name] = seconds(value)
        if not least <= values[name] <= LONGEST_TIME:
            rule = "above 0" if least else "of at least 0"
            refuse(f"{name} must be {rule} and at most {LONGEST_TIME:,} seconds", f"got {value!r}")
    if not isinstance(values["retry"], Retry):
        refuse("retry must be a Retry", f"got {values['retry']!r}")
    if not isinstance(values["whole"], bool):
        refuse("whole must be True or False", f"got {values['whole']!r}")
    return SpoolOptions(**{one.name: values[one.name] for one in fields(SpoolOptions)})
