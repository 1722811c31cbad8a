"""A form that was refused: which of its fields, why, and what was typed, so that nobody types it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from piko_flow.errors import RequestRefused, ScheduleError
from piko_flow.ops.console.field_refused import fields_of_error
from piko_flow.ops.console.refusals import Told, told_of


@dataclass(frozen=True, slots=True)
class Change:
    """A field that has become another one meanwhile: what it is called, what was typed, what is there now."""

    name: str
    typed: str
    now: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A form that was refused: its name, what is told of it, what is told of its fields, and all that was sent.

    `meanwhile` is what differs from what is there now, where somebody else has changed it. `again` are fields that may
    hold a secret, which no page shows again, with their titles: who typed something there has to type it again.
    """

    form: str
    told: Told
    fields: Mapping[str, str] = field(default_factory=dict)
    sent: Mapping[str, str] = field(default_factory=dict)
    meanwhile: tuple[Change, ...] = ()
    again: Mapping[str, str] = field(default_factory=dict)


def wrong_form(form: str, sent: Mapping[str, str], error: RequestRefused | ScheduleError) -> Wrong:
    """What is told of a form for this error."""
    return Wrong(form, told_of(error), fields_of_error(error, form), sent)
