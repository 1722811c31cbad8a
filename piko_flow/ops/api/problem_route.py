"""A route whose every error is answered as a problem."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from piko_flow.control.params.exact_numbers import exact_number
from piko_flow.control.params.params import ParamsRefused
from piko_flow.ops.misread import MOST, Misread, misread, no_json, other_content, unknown_parameter
from piko_flow.ops.problems import error_response

PARAMS: Final = ("params", "changes", "values")
"""Fields of bodies that have parameters."""


class ProblemRoute(APIRoute):
    """Answers what its endpoint, its dependencies and the reading of its request raise.

    Of what is described it takes only parameters that it knows, and only a body that says that it is JSON.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint, which raises nothing but the end of the client or of the process."""
        answer = super().get_route_handler()
        known = _parameters(self.dependant)
        body = None if self.body_field is None else self.body_field.field_info.annotation

        async def answered(request: Request) -> Response:
            if self.body_field is not None:
                request = _Written(request.scope, request.receive)
            try:
                if self.include_in_schema:
                    _check_parameters(request, known)
                if self.body_field is not None:
                    await _check_content(request)
                    _check_numbers(await request.body())
                return await answer(request)
            except RequestValidationError as error:
                return error_response(misread(error, body))
            except ParamsRefused as error:
                error.field, error.given = await _params_given(request, error)
                return error_response(error)
            except Exception as error:
                return error_response(_unreadable(error))

        return answered


class _Written(Request):
    """A request whose body has its numbers with all digits."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = json.loads(await self.body(), parse_float=exact_number)
        return self._json


def _parameters(dependant: Dependant) -> frozenset[str]:
    """The parameters in the query that an endpoint and what it depends on know."""
    own = {field.alias for field in dependant.query_params}
    return frozenset(own.union(*map(_parameters, dependant.dependencies)))


def _check_parameters(request: Request, known: frozenset[str]) -> None:
    unknown = [unknown_parameter(name, known) for name in request.query_params if name not in known]
    if unknown:
        raise Misread(422, unknown[:MOST], more=max(0, len(unknown) - MOST))


async def _check_content(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
    if not is_json and await request.body():
        raise other_content(media_type)


def _check_numbers(body: bytes) -> None:
    """Raise Misread for a body with numbers that are none, which Python reads and JSON does not have."""

    def refuse(name: str) -> None:
        raise no_json(f"{name} is no number of JSON")

    if b"NaN" in body or b"Infinity" in body:
        with suppress(
            ValueError, RecursionError
        ):  # what is no JSON for another reason is told as such when it is read
            json.loads(body, parse_constant=refuse)


async def _params_given(request: Request, error: ParamsRefused) -> tuple[str, frozenset[str]]:
    """The field of the body that has the parameters, with their names: the one that names what is wrong, else the first
    that there is."""
    body = json.loads(await request.body() or b"{}") or {}  # it has been read by whoever refused it
    there = {name: frozenset(body[name]) for name in PARAMS if isinstance(body.get(name), dict)}
    wrong = {place[0] for place in error.places if place} | set(error.own.values())
    found = [name for name, given in there.items() if wrong & given] or list(there)
    return (found[0], there[found[0]]) if found else ("", frozenset())


def _unreadable(error: Exception) -> Exception:
    """What FastAPI says of a body that it could not even decode; any other error as it is."""
    if isinstance(error, HTTPException) and error.status_code == 400 and error.__cause__ is not None:
        return no_json("it cannot be read")
    return error
