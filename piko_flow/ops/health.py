"""The probes: does the process live, and can it work?"""

from __future__ import annotations

from typing import Any, Protocol

from fastapi import APIRouter, Response
from pydantic import BaseModel


class Health(BaseModel):
    """What a probe answers: `status` in one word, and what is wrong where something is."""

    status: str
    role: str = ""
    problems: list[str] = []


class Version(BaseModel):
    """What runs here."""

    name: str
    version: str
    replica: str


class Alive(Protocol):
    """The process as its probes see it."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def replica_id(self) -> str: ...

    def lives(self) -> list[str]:
        """What keeps the process from working at all, empty when nothing does."""
        ...

    def readiness(self) -> tuple[str, list[str]]:
        """The role, leader or standby (starting and draining before and after), and what keeps it from working."""
        ...


def probes(process: Alive) -> APIRouter:
    """`/livez` and `/healthz`, `/readyz`, `/version`; they need no token and tell no secrets."""
    router = APIRouter(tags=["probes"])

    def live(response: Response) -> Health:
        problems = process.lives()
        response.status_code = 503 if problems else 200
        return Health(status="dead" if problems else "ok", problems=problems)

    router.add_api_route("/livez", live, summary="Does the process live?", responses=_unavailable())
    router.add_api_route("/healthz", live, summary="The same as /livez", responses=_unavailable())

    @router.get("/readyz", summary="Can this replica work?", responses=_unavailable())
    def ready(response: Response) -> Health:
        """200 for the leader and for a healthy standby, which says so; 503 while it starts, drains or has no store."""
        role, problems = process.readiness()
        if problems:
            response.status_code = 503
            return Health(status="unavailable", role=role, problems=problems)
        return Health(status="standby" if role == "standby" else "ready", role=role)

    @router.get("/version", summary="What runs here")
    def version() -> Version:
        """Name, version and replica."""
        return Version(name=process.name, version=process.version, replica=process.replica_id)

    return router


def _unavailable() -> dict[int | str, dict[str, Any]]:
    return {503: {"model": Health}}
