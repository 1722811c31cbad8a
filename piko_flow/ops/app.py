"""The HTTP side as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from piko_flow.ops.api.routes import api_router
from piko_flow.ops.console.pages import console_router
from piko_flow.ops.console.refusals import answers_errors
from piko_flow.ops.console.view import View
from piko_flow.ops.door.answers import Answers
from piko_flow.ops.door.door import Door
from piko_flow.ops.door.doorkeeper import Doorkeeper
from piko_flow.ops.door.pages import door_router
from piko_flow.ops.health import probes
from piko_flow.ops.metrics import metrics_router
from piko_flow.ops.process import Process
from piko_flow.ops.trace_header import TraceHeader


class GuardedApi(FastAPI):
    """An application whose every request passes the door, those too that end in an error nobody expected."""

    door: Callable[[ASGIApp], ASGIApp]

    def build_middleware_stack(self) -> ASGIApp:
        """The application's own layers with the door around them."""
        return self.door(super().build_middleware_stack())


def make_api(process: Process, *, running: Callable[[], AbstractAsyncContextManager[None]] | None) -> FastAPI:
    """The application. With `running` its lifespan is the process's: entered at start, left at the end."""

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        if running is None:
            yield
            return
        async with running():
            yield

    api = GuardedApi(
        title=process.name,
        version=process.version,
        lifespan=lifespan,
        redirect_slashes=False,  # what is asked for is there by its exact path, or not
        docs_url=None,  # these pages load what they need from elsewhere
        redoc_url=None,
        openapi_url=None,
    )
    keeper, view = Doorkeeper(process), View(name=process.name, version=process.version)
    api.door = lambda inside: Door(TraceHeader(inside), keeper=keeper, answers=Answers(view))
    api.include_router(console_router(process))  # first, as open pages ask most often
    api.include_router(probes(process))
    api.include_router(door_router(keeper, view))
    api.include_router(metrics_router(process))
    api.include_router(api_router(process))
    for kind in (HTTPException, Exception):
        api.add_exception_handler(kind, answers_errors(view))
    return api
