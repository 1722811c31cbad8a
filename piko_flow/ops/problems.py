"""Every error of the HTTP side as one kind of document: application/problem+json."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import Response

from piko_flow.control.params.field_names import Place
from piko_flow.control.params.params import ParamsRefused, cut_name, told_place
from piko_flow.errors import (
    LeadershipLost,
    NotFound,
    RequestConflicts,
    RequestRefused,
    ScheduleError,
    StoreUnavailable,
    TermOutdated,
)
from piko_flow.ops.misread import FieldError, Misread, escaped, misread
from piko_flow.ops.visitor import MayNot
from piko_flow.store.texts import readable

MEDIA_TYPE = "application/problem+json"
AGAIN = 2  # seconds after which asking again makes sense, where the store or the leader is away
TOLD = 3  # wrong fields that the detail of a problem tells

log = logging.getLogger("piko_flow.api")


class Problem(BaseModel):
    """Why a request was not answered as it was meant to be (RFC 9457).

    `what` was asked, `rule` is what holds, `got` what was found, `advice` what to do. Where fields of the request are
    wrong these are of the first one, and `errors` has each. What has nothing to say is left out.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:piko-flow:refused",
                    "title": "Refused",
                    "status": 422,
                    "detail": "retry run 7: a run that ended FAILED or CANCELLED is tried again; it is SUCCESS",
                    "what": "retry run 7",
                    "rule": "a run that ended FAILED or CANCELLED is tried again",
                    "got": "it is SUCCESS",
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    what: str = ""
    rule: str = ""
    got: str = ""
    advice: str = ""
    errors: list[FieldError] = []


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:
    """The document for an error, and the headers that go with it.

    What nobody expected is logged, and told without what is inside.
    """
    match error:
        case NotFound():
            return _told(error, 404, "not-found", "Not found"), {}
        case RequestConflicts():
            return _told(error, 409, "conflict", "It has changed meanwhile"), {}
        case ParamsRefused():
            return _params(error), {}
        case RequestRefused() | ScheduleError():
            return _told(error, 422, "refused", "Refused"), {}
        case MayNot():
            return problem(403, "not-allowed", "Not allowed", str(error)), {}
        case Misread():
            return _misread(error), {}
        case StoreUnavailable() | TermOutdated() | LeadershipLost():
            away = problem(503, "unavailable", "Not available now", str(error))
            return away, {"Retry-After": str(AGAIN)}
        case RequestValidationError():
            return _misread(misread(error)), {}
        case HTTPException():
            return _of_status(error), dict(error.headers or {})
    log.error("a request failed: %s", type(error).__name__, exc_info=error)
    detail = "The request failed for a reason that is in the log of this replica."
    return problem(500, "failed", "Failed", detail), {}


def problem(status: int, kind: str, title: str, detail: str) -> Problem:
    """A problem of a kind, which is the end of its type."""
    return Problem(type=f"urn:piko-flow:{kind}", title=title, status=status, detail=detail)


def problem_response(found: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The document as an answer."""
    content = found.model_dump(exclude_defaults=True) | {"type": found.type}
    body = json.dumps(_readable(content), ensure_ascii=False)
    return Response(body, status_code=found.status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def error_response(error: Exception) -> Response:
    """The answer to a request that ended with this error."""
    return problem_response(*problem_of(error))


def _told(error: RequestRefused | ScheduleError, status: int, kind: str, title: str) -> Problem:
    found = problem(status, kind, title, str(error))
    parts = {"what": error.what, "rule": error.rule, "got": error.got, "advice": error.advice}
    return found.model_copy(update=parts)


def _params(error: ParamsRefused) -> Problem:
    """Parameters that do not fit: each field that is wrong by itself, where the body is known with a pointer to it."""
    found = _told(error, 422, "refused", "Refused")
    fields = [
        FieldError(
            pointer=_pointer(error, place),
            what=f"{error.what}: {told_place(place)}",
            rule=error.rule,
            got=line,
        )
        for place, line in error.places.items()
    ]
    return found.model_copy(update={"errors": fields})


def _pointer(error: ParamsRefused, place: Place) -> str:
    """Where the place is in the body, under the name of the field that came there; empty where that is not known."""
    own = error.own.get(place, "")
    if place and place[0] not in error.given and own in error.given:
        place = (own, *place[1:])
    parts = (error.field, *(escaped(cut_name(part)) for part in place))
    return f"#/{'/'.join(parts)}" if error.field else ""


def _misread(error: Misread) -> Problem:
    """What does not fit the description of the request. What fits it and is against a rule that no description has is
    refused, as the control half does."""
    kinds = {400: ("unreadable", "Unreadable"), 415: ("other-content", "Other content")}
    kind, title = kinds.get(error.status) or (
        ("refused", "Refused") if error.refused else ("invalid", "Invalid")
    )
    left = max(0, len(error.fields) - TOLD) + error.more
    detail = "; ".join(map(str, error.fields[:TOLD])) + (f", and {left} more" if left else "")
    first = error.fields[0]
    parts = {name: getattr(first, name) for name in ("what", "rule", "got", "advice")}
    return problem(error.status, kind, title, detail).model_copy(update=parts | {"errors": error.fields})


def _of_status(error: HTTPException) -> Problem:
    title = HTTPStatus(error.status_code).phrase
    kind = title.lower().replace(" ", "-")
    told: object = error.detail  # typed as text; whoever raises it may tell its parts
    if isinstance(told, dict):
        parts = {str(name): str(part) for name, part in told.items()}
        text = f"{parts['what']}: {parts['rule']}; {parts['got']}"
        return problem(error.status_code, kind, title, text).model_copy(update=parts)
    return problem(error.status_code, kind, title, str(told))


def _readable(value: Any) -> Any:
    """The value without texts that UTF-8 cannot say: what came is told, and may be anything."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {name: _readable(item) for name, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list) else value
