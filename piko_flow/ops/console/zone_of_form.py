"""What is told of a form in the zone in which its times are typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from piko_flow.control.flows.told_times import Times
from piko_flow.errors import RequestRefused
from piko_flow.ops.console.field_refused import FieldRefused

INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)")
PAIR: Final = re.compile(rf"[\[]?({INSTANT.pattern})(?:\.\.|, )({INSTANT.pattern})[)]?")


def in_zone(text: str, zone: ZoneInfo) -> str:
    """The text with its instants as one may type them into the form: local times with their offsets."""
    return INSTANT.sub(lambda found: _local(found[0], zone), PAIR.sub(r"\1 to \2", text))


@contextmanager
def times_in(zone: ZoneInfo, field: str) -> Iterator[None]:
    """What is refused in the block because of its times is told in this zone, and of this field of the form."""
    try:
        yield
    except RequestRefused as error:
        told = [error.what, error.rule, error.got, error.advice]
        what, rule, got, advice = (in_zone(text, zone) for text in told)
        if type(error) is not RequestRefused or [what, rule, got, advice] == told:
            raise
        raise FieldRefused(field=field, what=what, rule=rule, got=got, advice=advice) from error


def _local(text: str, zone: ZoneInfo) -> str:
    instant = datetime.fromisoformat(text)
    if instant.microsecond:
        return instant.astimezone(zone).isoformat(" ")
    return Times(zone).at(instant)
