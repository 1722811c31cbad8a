"""Logging in and out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse

from piko_flow.errors import StoreUnavailable
from piko_flow.ops.console.view import View
from piko_flow.ops.door.answers import Answers
from piko_flow.ops.door.asked import Asked, form_fields
from piko_flow.ops.door.doorkeeper import Doorkeeper
from piko_flow.ops.door.session_cookie import no_session_cookie, session_cookie
from piko_flow.ops.door.turned_away import TurnedAway
from piko_flow.ops.local_path import local_path
from piko_flow.store.ops_records import TokenKind

USED = "This link was used before, or is too old. `piko-flow token link` prints another one."
WRONG = "This token is unknown, revoked or too old."


def door_router(keeper: Doorkeeper, view: View) -> APIRouter:
    """`/login`, with a link or with a token in a form, and `/logout`."""
    answers = Answers(view)
    pages = _LoginPages(keeper, view, answers)
    router = APIRouter(include_in_schema=False, route_class=_answered_by(answers))
    router.add_api_route("/login", pages.follow_link, methods=["GET"])
    router.add_api_route("/login", pages.log_in, methods=["POST"])
    router.add_api_route("/logout", pages.log_out, methods=["POST"])
    return router


class _LoginPages:
    """What the routes do."""

    def __init__(self, keeper: Doorkeeper, view: View, answers: Answers) -> None:
        self._keeper, self._view, self._answers = keeper, view, answers

    async def follow_link(self, request: Request, token: str = "", next: str = "/") -> Response:  # noqa: A002
        """Log in by the link of a terminal, which is good once; without one show the form."""
        asked, place = Asked.of(request.scope), local_path(next)
        if not token:
            return self._form(request, place)
        if asked.is_ahead_of_time:  # the link must be left for the person who follows it
            return Response(status_code=503)
        made = await self._keeper.open_session(asked, token, TokenKind.LOGIN)
        if made is None:
            return self._form(request, place, USED)
        elsewhere = asked.comes_from_elsewhere
        response = self._answers.step(request.scope, place) if elsewhere else RedirectResponse(place, 303)
        response.headers["set-cookie"] = session_cookie(asked, made[1])
        return response

    async def log_in(self, request: Request) -> Response:
        """Log in by a token."""
        asked = Asked.of(request.scope)
        try:
            fields = form_fields(await request.body())
        except ValueError:  # more fields than the form has
            fields = {}
        place, secret = local_path(fields.get("next")), fields.get("token", "").strip()
        made = await self._keeper.open_session(asked, secret, TokenKind.API)
        if made is None:
            return self._form(request, place, WRONG)
        response = RedirectResponse(place, 303)
        response.headers["set-cookie"] = session_cookie(asked, made[1])
        return response

    async def log_out(self, request: Request) -> Response:
        """End the session."""
        asked = Asked.of(request.scope)
        await self._keeper.end_session(asked)
        response = RedirectResponse("/login", 303)
        response.headers["set-cookie"] = no_session_cookie(asked)
        return response

    def _form(self, request: Request, place: str, wrong: str = "") -> Response:
        status = 401 if wrong else 200
        return self._view.page(request, "login.html", status=status, place=place, wrong=wrong)


def _answered_by(answers: Answers) -> type[APIRoute]:
    """The class of routes that turn away as the door does."""

    class DoorRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """Answers TurnedAway and StoreUnavailable."""
            inner = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await inner(request)
                except (TurnedAway, StoreUnavailable) as why:
                    return answers.to(Asked.of(request.scope), request.scope, why)

            return answer

    return DoorRoute
