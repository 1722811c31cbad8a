"""What a browser sends with a form."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from fastapi import Request

from piko_flow.control.operations.plane_part import refuse as refuse
from piko_flow.ops.console.field_refused import FieldRefused, about
from piko_flow.planning.moment import read_moment
from piko_flow.planning.window import Window

FIELDS = 500
LARGEST_NUMBER = 2**63 - 1


async def form_of(request: Request) -> dict[str, str]:
    """The fields of the form; of several with one name the last. Files are refused, as are more than 500 fields."""
    async with request.form(max_files=0, max_fields=FIELDS) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


def whole(text: str | None, otherwise: int, *, least: int = 1, most: int = 1_000_000) -> int:
    """The whole number that an address has; `otherwise` where it has none, or one out of bounds."""
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 18:
        return otherwise
    return found if least <= (found := int(text)) <= most else otherwise


def whole_field(form: dict[str, str], name: str, *, least: int, most: int = LARGEST_NUMBER) -> int:
    """The whole number of a field. Raises RequestRefused where it is none, or out of bounds."""
    text = form.get(name, "").strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and least <= int(text) <= most):
        raise FieldRefused(
            field=name,
            what=f"read {name.replace('_', ' ')}",
            rule=f"it is a whole number from {least} to {most}",
            got=f"got {text!r:.60}" if text else "got nothing",
        )
    return int(text)


def span_of(
    first: str, last: str, zone: ZoneInfo, *, titles: tuple[str, str] = ("From", "Up to, left out")
) -> Window:
    """The window between two times of the zone, as they were written. Raises FieldRefused for `start` or `end`.

    `titles` are those of the two fields; one that is empty is named by it.
    """
    for name, text, title in (("start", first, titles[0]), ("end", last, titles[1])):
        if not text.strip():
            rule = f'both "{titles[0]}" and "{titles[1]}" are given'
            raise FieldRefused(field=name, what="read the window", rule=rule, got=f'"{title}" is empty')
    with about("start"):
        start = read_moment(first, zone, "start")
    with about("end"):
        end = read_moment(last, zone, "end")
        return Window(start, end)
