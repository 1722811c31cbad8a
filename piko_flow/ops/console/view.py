"""Makes pages of templates: everything that comes from outside is escaped."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from piko_flow.counting import are, counted
from piko_flow.ops.console import flash, formats, sentences, theme
from piko_flow.ops.console.assets import address_of
from piko_flow.ops.console.shared_parts import SharedParts
from piko_flow.ops.console.shown_items import of_failure, shown_item
from piko_flow.ops.visitor import Visitor
from piko_flow.store.ops_records import Role

NAVIGATION = (
    ("/", "Flows"),
    ("/runs", "Runs"),
    ("/backfills", "Backfills"),
    ("/dead-letters", "Dead letters"),
    ("/replicas", "Replicas"),
)
FOR_ADMINS = (("/audit", "Audit"),)
FIELD = Markup('<input type="hidden" name="csrf_token" value="{}">')


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("piko_flow.ops.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # they do not change while it serves
    )
    made.filters |= {
        "moment": formats.moment,
        "window": formats.window,
        "sentence": sentences.sentence,
        "plain": sentences.plain,
        "coded": sentences.coded,
        "counted": counted,
        "are": are,
        "ago": formats.ago,
        "about": formats.about,
        "going": formats.going,
        "item": shown_item,
        "failed_item": of_failure,
        "took": formats.took,
        "number": formats.number,
        "rate": formats.rate,
        "given": formats.given,
        "tone": formats.tone,
        "segment": lambda name: quote(str(name), safe=""),
    }
    made.globals |= {"asset": address_of, "icon_of_theme": theme.icon, "query": query}
    return made


def query(values: Mapping[str, Any], **changes: Any) -> str:
    """The query of an address with some values changed; empty ones are left out."""
    joined = {name: value for name, value in {**values, **changes}.items() if value not in (None, "")}
    return f"?{urlencode(joined)}" if joined else "?"


class View:
    """The templates, for one application. Pages work for nobody in particular, too: the one to log in at does."""

    def __init__(self, *, name: str = "", version: str = "") -> None:
        self._environment = _environment()
        self._environment.globals |= {"app_name": name, "app_version": version}
        self.shared = SharedParts()
        # Stands in shared parts where each visitor's own proof belongs; nobody can guess it, and write it into a name.
        self._stand_in = secrets.token_hex(16)

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page, with the message that a redirect left behind."""
        message = flash.taken(request)
        text = self._text(request, template, flash=message, **values)
        response = HTMLResponse(text, status)
        if message is not None and message.passes:
            flash.forget(request, response)
        return response

    def part(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A piece of a page, which replaces an older one."""
        return HTMLResponse(self._text(request, template, flash=None, **values), status)

    async def shared_part(
        self,
        request: Request,
        template: str,
        read: Callable[[], Awaitable[dict[str, Any]]],
        *,
        seconds: float,
    ) -> HTMLResponse:
        """A piece that is made at most once in so many seconds for all who ask for the same address in the same role."""
        visitor: Visitor = request.state.visitor

        async def make() -> str:
            return self._text(request, template, csrf=self._stand_in, flash=None, **await read())

        key = template, request.url.path, request.url.query, visitor.role
        text = await self.shared.text(key, make, seconds=seconds)
        return HTMLResponse(text.replace(self._stand_in, str(escape(visitor.csrf))))

    def _text(self, request: Request, template: str, *, csrf: str | None = None, **values: Any) -> str:
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        chosen = theme.chosen(request)
        if csrf is None:
            csrf = visitor.csrf if visitor is not None else ""
        surroundings = {
            "visitor": visitor,
            "operates": visitor is not None and visitor.may(Role.OPERATOR),
            "administers": visitor is not None and visitor.may(Role.ADMIN),
            "navigation": NAVIGATION + (FOR_ADMINS if visitor and visitor.may(Role.ADMIN) else ()),
            "section": "",
            "path": _path(request),
            "theme": chosen,
            "next_theme": theme.following(chosen),
            "token": lambda: FIELD.format(csrf),
        }
        return self._environment.get_template(template).render({**surroundings, **values})


def _path(request: Request) -> str:
    asked = request.url.query
    where = quote(request.scope["path"])  # as a server gets it: decoded
    return where + (f"?{asked}" if asked else "") if request.method == "GET" else "/"
