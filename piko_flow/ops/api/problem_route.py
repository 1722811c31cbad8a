"""A route whose every error is answered as a problem."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from piko_flow.ops.problems import error_response


class ProblemRoute(APIRoute):
    """Answers what its endpoint, its dependencies and the reading of its request raise."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint, which raises nothing but the end of the client or of the process."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await answer(request)
            except Exception as error:
                return error_response(error)

        return answered
