"""What a browser sends with a form."""

from __future__ import annotations

from typing import NoReturn

from fastapi import Request

from piko_flow.errors import RequestRefused

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
        what, came = f"read {name.replace('_', ' ')}", f"{text!r:.60} came"
        refuse(what, f"it is a whole number from {least} to {most}", came)
    return int(text)


def refuse(what: str, rule: str, came: str, advice: str = "") -> NoReturn:
    """Raise RequestRefused."""
    raise RequestRefused(what=what, rule=rule, came=came, advice=advice)
