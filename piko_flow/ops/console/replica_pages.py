"""Replicas, who leads them, and what people changed."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_replicas import LeaderView
from piko_flow.ops.console.conflicts import conflict
from piko_flow.ops.console.flash import told
from piko_flow.ops.console.forms import form_of, whole
from piko_flow.ops.console.page_group import PageGroup
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.visitor import AtLeast, Visitor
from piko_flow.store.ops_records import AuditRecord, Role
from piko_flow.store.records import Lease

PAGE = 100
Admin = Annotated[Visitor, Depends(AtLeast(Role.ADMIN))]


class ReplicaPages(PageGroup):
    """Shows replicas and the audit, and lets the leader resign."""

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=pages_route(self._view), include_in_schema=False)
        look = [Depends(AtLeast(Role.VIEWER))]
        router.add_api_route("/replicas", self.replicas, dependencies=look)
        router.add_api_route("/parts/replicas", self.part, dependencies=look)
        router.add_api_route("/replicas/resign", self.resign, methods=["POST"])
        router.add_api_route("/audit", self.audit, dependencies=[Depends(AtLeast(Role.ADMIN))])
        return router

    async def replicas(self, request: Request) -> Response:
        """Who leads, and which replicas there are."""
        return self._view.page(request, "replicas.html", **await self._values())

    async def part(self, request: Request) -> Response:
        """The same, which changes by itself."""
        return await self._view.shared_part(request, "replicas_part.html", self._values, seconds=2)

    async def resign(self, request: Request, who: Admin) -> Response:
        """Let the leader resign, if it leads in the term that the page showed."""
        seen = (await form_of(request)).get("seen", "")

        async def resign(plane: ControlPlane) -> Lease:
            view = await plane.leader()
            now = f"term {view.lease.term}" if view.lease is not None and view.leads else "nobody leads"
            if now != seen:
                conflict("let the leader resign", seen, now)
            return await plane.acting(who.name, who.via).resign_leader()

        lease = await self._process.ask(resign)
        return told(request, "/replicas", f"{lease.holder} leads no more after term {lease.term}.")

    async def audit(self, request: Request) -> Response:
        """What was changed, newest first."""
        asked = request.query_params
        subject, before = asked.get("subject", "")[:300], whole(asked.get("before"), 0, most=2**62)

        async def read(plane: ControlPlane) -> list[AuditRecord]:
            return await plane.store.audit(subject=subject or None, before=before or None, limit=PAGE)

        found = await self._process.ask(read)
        return self._view.page(
            request,
            "audit.html",
            section="/audit",
            changes=[(one, _lines(one)) for one in found],
            before=found[-1].id if len(found) == PAGE else None,
            asked={"subject": subject, "before": before or ""},
        )

    async def _values(self) -> dict[str, Any]:
        view: LeaderView = await self._process.ask(lambda plane: plane.leader(counted=True))
        return {
            "section": "/replicas",
            "leader": view,
            "now": view.now,
            "here": self._process.replica_id,
            "seen": f"term {view.lease.term}" if view.lease is not None and view.leads else "nobody leads",
        }


def _lines(change: AuditRecord) -> list[tuple[str, str, str]]:
    """The names that a change is about, with what they were and became."""
    before, after = _object(change.before), _object(change.after)
    return [(name, _shown(before, name), _shown(after, name)) for name in dict.fromkeys((*before, *after))]


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = {"": text}
    return found if isinstance(found, dict) else {"": found}


def _shown(values: dict[str, Any], name: str) -> str:
    return json.dumps(values[name], ensure_ascii=False)[:300] if name in values else ""
