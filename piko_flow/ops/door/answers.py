"""What the door answers by itself: a problem for programs, a page or the way to one for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from piko_flow.errors import NotRunning, StoreUnavailable
from piko_flow.ops.console.refusals import Told
from piko_flow.ops.console.view import View
from piko_flow.ops.door.asked import Asked
from piko_flow.ops.door.turned_away import NothingRuns, NotLoggedIn, StoreAway, TurnedAway
from piko_flow.ops.local_path import local_path
from piko_flow.ops.problems import problem, problem_response

HOME = "/"


class Answers:
    """Makes the answers, with the console's look."""

    def __init__(self, view: View) -> None:
        self._view = view

    def to(self, asked: Asked, scope: Mapping[str, Any], why: TurnedAway | StoreUnavailable) -> Response:
        """The answer to a request that is not let in."""
        if isinstance(why, StoreUnavailable):
            why = NothingRuns(why) if isinstance(why, NotRunning) else StoreAway(why)
        if asked.header("hx-request") and isinstance(why, NotLoggedIn):
            shown = urlsplit(asked.header("hx-current-url") or "")
            place = local_path(f"{shown.path}?{shown.query}" if shown.query else shown.path)
            return Response(status_code=why.status, headers=why.headers | {"HX-Redirect": login_at(place)})
        if asked.is_program:
            return self._problem(asked, why)
        if isinstance(why, NotLoggedIn) and asked.method == "GET":
            if asked.comes_from_elsewhere:
                return self.step(scope, local_path(asked.place))
            return RedirectResponse(login_at(local_path(asked.place)), 303)
        told = Told(
            why.status, why.title, f"{asked.method} {asked.path[:200]}", why.rule, why.got, why.advice
        )
        response = self._view.page(
            _request(scope), "refusal.html", status=why.status, told=told, back="", about=""
        )
        response.headers.update(why.headers)
        return response

    def step(self, scope: Mapping[str, Any], place: str) -> Response:
        """A page that goes on to the place by itself.

        Where a link of another site is followed, browsers leave the session's cookie out, also after a redirect. Asked
        for by this page, the place gets it.
        """
        return self._view.page(_request(scope), "step.html", place=place)

    def _problem(self, asked: Asked, why: TurnedAway) -> Response:
        kind = why.title.lower().replace(" ", "-")
        found = problem(why.status, kind, why.title, str(why))
        what = f"{asked.method} {asked.path[:200]}"
        parts = {"what": what, "rule": why.rule, "got": why.got, "advice": why.advice}
        return problem_response(found.model_copy(update=parts), why.headers)


def login_at(place: str) -> str:
    """Where to log in so as to come to the place afterwards."""
    return "/login" if place == HOME else f"/login?{urlencode({'next': place})}"


def _request(scope: Mapping[str, Any]) -> Request:
    return Request({**scope, "state": {}})
