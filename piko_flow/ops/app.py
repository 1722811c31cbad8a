"""The HTTP side as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from piko_flow.ops.health import Alive, probes


def make_api(process: Alive, *, running: Callable[[], AbstractAsyncContextManager[None]] | None) -> FastAPI:
    """The application. With `running` its lifespan is the process's: entered at start, left at the end."""

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        if running is None:
            yield
            return
        async with running():
            yield

    api = FastAPI(title=process.name, version=process.version, lifespan=lifespan)
    api.include_router(probes(process))
    return api
