"""What an endpoint is given: whoever asks, allowed to, with the process that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from starlette.responses import Response

from piko_flow.control.flows.json_values import json_values
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.errors import StoreUnavailable
from piko_flow.ops.api.kept_answers import Asked, answered_once
from piko_flow.ops.askable import Askable
from piko_flow.ops.live.broadcaster import Broadcaster
from piko_flow.ops.visitor import AtLeast, Visitor
from piko_flow.store.ops_records import Role

T = TypeVar("T")
Work = Callable[[ControlPlane], Awaitable[T]]
LONGEST: Final = 30.0
"""Seconds that one question to the control half may take."""


@dataclass(frozen=True, slots=True)
class Looking:
    """Somebody who may look, and the process that is asked."""

    process: Askable
    live: Broadcaster
    visitor: Visitor

    async def ask(self, work: Work[T]) -> T:
        """What the plane answers. Raises what it raises, and StoreUnavailable where that takes longer than 30 seconds."""
        try:
            async with asyncio.timeout(LONGEST):
                return await self.process.ask(work)
        except TimeoutError:
            raise StoreUnavailable(what="do that", reason=f"it took longer than {LONGEST:g} s") from None

    async def answer(self, work: Work[Mapping[str, Any]]) -> Any:
        """What the plane answers, as JSON values."""
        return json_values(await self.ask(work))


@dataclass(frozen=True, slots=True)
class Changing(Looking):
    """Somebody who may change something; what they change is audited as by them.

    With an idempotency key the same request gives the same answer again and changes nothing more.
    """

    asked: Asked

    async def change(
        self, kind: type[BaseModel], work: Work[Mapping[str, Any]], *, status: int = 200
    ) -> Response:
        """Make the change, and answer with what it gave, as this kind of document."""
        visitor = self.visitor

        async def make() -> tuple[int, str]:
            given = await self.ask(lambda plane: work(plane.acting(visitor.name, visitor.via)))
            return status, kind.model_validate(json_values(given)).model_dump_json()

        return await answered_once(self.ask, self.asked, make)


def within(process: Askable, live: Broadcaster) -> Callable[[Request], Awaitable[None]]:
    """A dependency that tells the endpoints of a router which process they are of."""

    async def give(request: Request) -> None:
        request.state.process, request.state.live = process, live

    return give


async def _looking(request: Request) -> Looking:
    visitor = AtLeast(Role.VIEWER).of(request)
    return Looking(request.state.process, request.state.live, visitor)


async def _ruling_look(request: Request) -> Looking:
    return Looking(request.state.process, request.state.live, AtLeast(Role.ADMIN).of(request))


Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[!-~]+$",
        description="The same key with the same request gives the same answer again, for 24 hours, and changes "
        "nothing more.",
    ),
]


def _allowed(role: Role) -> Callable[[Request, str | None], Awaitable[Changing]]:
    async def changing(request: Request, key: Key = None) -> Changing:
        visitor = AtLeast(role).of(request)
        asked = Asked.of(request, await request.body(), key=key, who=f"token {visitor.token}")
        return Changing(request.state.process, request.state.live, visitor, asked)

    return changing


Look = Annotated[Looking, Depends(_looking)]
"""Whoever may look."""
LookAsAdmin = Annotated[Looking, Depends(_ruling_look)]
"""An administrator who looks."""
Change = Annotated[Changing, Depends(_allowed(Role.OPERATOR))]
"""An operator who changes something."""
Rule = Annotated[Changing, Depends(_allowed(Role.ADMIN))]
"""An administrator who changes something."""
