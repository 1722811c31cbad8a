"""Light or dark: as the viewer's system has it, unless they chose."""

from __future__ import annotations

from fastapi import Request, Response
from markupsafe import Markup

COOKIE = "piko_theme"
THEMES = {"": "as the system has them", "light": "light", "dark": "dark"}
YEAR = 365 * 24 * 3600
SHAPES = {
    "": '<path d="M8 1.5a6.5 6.5 0 1 0 0 13z" fill="currentColor"/><circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" stroke-width="1.5"/>',
    "light": '<circle cx="8" cy="8" r="3" fill="currentColor"/><path d="M8 .8v2M8 13.2v2M.8 8h2M13.2 8h2M2.9 2.9l1.4 1.4M11.7 11.7l1.4 1.4M2.9 13.1l1.4-1.4M11.7 4.3l1.4-1.4" stroke="currentColor" stroke-width="1.5"/>',
    "dark": '<path d="M6.2 1.4a6.8 6.8 0 1 0 8.4 8.4A5.6 5.6 0 0 1 6.2 1.4z" fill="currentColor"/>',
}


def chosen(request: Request) -> str:
    """What the viewer chose; empty for the system's."""
    found = request.cookies.get(COOKIE, "")
    return found if found in THEMES else ""


def following(theme: str) -> tuple[str, str]:
    """What the button chooses next, and what is in force."""
    names = list(THEMES)
    return names[(names.index(theme) + 1) % len(names)], THEMES[theme]


def icon(theme: str) -> Markup:
    """The picture on the button."""
    shape = Markup(SHAPES[theme])
    return Markup('<svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(shape)


def keep(response: Response, theme: str, *, secure: bool) -> None:
    """Remember the choice in a cookie that holds nothing else."""
    value = theme if theme in THEMES else ""
    response.set_cookie(COOKIE, value, max_age=YEAR, httponly=True, samesite="lax", secure=secure)
