"""What goes wrong, as a page: what, the rule, what came, what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from piko_flow.errors import (
    NotFound,
    NotRunning,
    RequestConflicts,
    RequestRefused,
    ScheduleError,
    StoreUnavailable,
    describe_error,
)
from piko_flow.ops.console.field_refused import fields_of_error, got_told
from piko_flow.ops.console.view import View
from piko_flow.ops.problems import error_response
from piko_flow.ops.visitor import MayNot

log = logging.getLogger("piko_flow.console")


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a request that was not answered as wished."""

    status: int
    title: str
    text: str
    rule: str = ""
    got: str = ""
    advice: str = ""


TITLES = {
    400: "That could not be read",
    403: "That is not allowed to you",
    404: "There is nothing here",
    405: "That cannot be done here",
    409: "It has changed meanwhile",
    413: "That is too large",
    422: "That could not be done",
    429: "Too many requests",
    500: "Something broke",
    503: "The database does not answer",
}
ADVICE = {
    404: "It may have been deleted, or the address has a mistake.",
    500: "The server's log has the details. Try again; nothing more was changed by it.",
    503: "The page works again when the database does. What is running goes on.",
}


def told_of(error: Exception) -> Told:
    """What is told of an error; one that nobody expects tells nothing of itself."""
    if isinstance(error, RequestRefused | ScheduleError):
        status = 409 if isinstance(error, RequestConflicts) else 404 if isinstance(error, NotFound) else 422
        title = TITLES[status]
        return Told(status, title, error.what, error.rule, got_told(error.got), error.advice)
    if isinstance(error, MayNot):
        return Told(403, TITLES[403], str(error), advice="Log in with a token of a role that may.")
    if isinstance(error, NotRunning):
        title = "It does not run" if error.advice else "It is starting"
        return Told(503, title, error.reason, advice=error.advice or "Load the page again in a moment.")
    if isinstance(error, StoreUnavailable):
        return Told(503, TITLES[503], error.reason, advice=ADVICE[503])
    if isinstance(error, RequestValidationError) and all(one["loc"][0] == "path" for one in error.errors()):
        return Told(404, TITLES[404], "", advice=ADVICE[404])  # nothing has such an address
    if isinstance(error, HTTPException):
        text = error.detail if error.status_code != 404 else ""
        title = TITLES.get(error.status_code, "That could not be done")
        return Told(error.status_code, title, text, advice=ADVICE.get(error.status_code, ""))
    if isinstance(error, RequestValidationError):
        places = ", ".join(
            ".".join(map(str, one["loc"])) + f": {str(one['msg']).removeprefix('Value error, ')}"
            for one in error.errors()[:5]
        )
        return Told(422, TITLES[422], places)
    return Told(500, TITLES[500], "", advice=ADVICE[500])


def refusal(view: View, request: Request, error: Exception) -> Response:
    """The page for an error, or a piece of one where a piece was asked for."""
    about = told_of(error)
    if about.status == 503:  # the store tells of itself what there is to tell
        log.warning("%s %s: %s", request.method, request.url.path, describe_error(error, 500))
    elif about.status >= 500:
        log.error("%s %s: %s", request.method, request.url.path, describe_error(error, 500), exc_info=error)
    headers = {"Retry-After": "5"} if about.status == 503 else {}
    back = request.url.path if request.method == "GET" else ""
    about_page = page_about(request.scope["path"]) if about.status == 409 else ""
    if request.headers.get("HX-Request") == "true":
        fields = list(fields_of_error(error)) if isinstance(error, RequestRefused | ScheduleError) else []
        response = view.part(request, "refused.html", status=about.status, told=about, fields=fields)
    else:
        response = view.page(
            request, "refusal.html", status=about.status, told=about, back=back, about=about_page
        )
    response.headers.update(headers)
    return response


def page_about(path: str) -> str:
    """The page that shows what the address of a change is about: a flow, a run, a backfill, a dead letter, or their list."""
    kind, one, *_ = [*path.strip("/").split("/"), ""]
    if one and (kind == "flows" or one.isdecimal()):
        return f"/{kind}/{quote(one, safe='')}"
    return f"/{kind}"


def answers_errors(view: View) -> Callable[[Request, Exception], Coroutine[Any, Any, Response]]:
    """What answers errors of a whole application: with a page where a browser asks for one, else with a problem."""

    async def answer(request: Request, error: Exception) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "")
        if request.url.path.startswith("/api/") or not wants_page:
            return error_response(error)
        return refusal(view, request, error)

    return answer


def pages_route(view: View) -> type[APIRoute]:
    """The class of routes whose errors are pages."""

    class PagesRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """Answers errors of this library and of HTTP itself as a page; so does it any other error."""
            inner = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await inner(request)
                except Exception as error:
                    return refusal(view, request, error)
                finally:
                    if request.method != "GET":
                        view.shared.forget()

            return answer

    return PagesRoute
