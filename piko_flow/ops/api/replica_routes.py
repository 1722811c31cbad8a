"""Replicas, who leads, and what people have changed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AfterValidator
from starlette.responses import Response

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.view_values import audit_values
from piko_flow.ops.api.answers.replicas import AuditAnswer, EndedLeaseAnswer, LeaderAnswer
from piko_flow.ops.api.asking import Look, LookAsAdmin, Rule
from piko_flow.ops.api.given import Before, Limit, plain_text
from piko_flow.ops.api.problem_route import ProblemRoute

router = APIRouter(tags=["replicas"], route_class=ProblemRoute)
audit_router = APIRouter(tags=["audit"], route_class=ProblemRoute)
Subject = Annotated[
    str | None,
    Query(max_length=191, description="Only changes of this, such as `flow sync_orders` or `run 7`."),
    AfterValidator(lambda text: text if text is None else plain_text(text)),
]


@router.get("/leader", operation_id="show_leader", summary="Who leads, and which replicas there are")
async def show_leader(look: Look) -> LeaderAnswer:
    """The lease, and the replicas, alive or not, at the store's time."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"leader": await plane.leader(counted=True)}

    return LeaderAnswer.model_validate(await look.answer(ask))


@router.post(
    "/leader/resign",
    operation_id="resign_leader",
    summary="Let the leader resign",
    response_model=EndedLeaseAnswer,
)
async def resign_leader(change: Rule) -> Response:
    """End the leader's lease; another replica leads then, or the same one again where there is no other.

    Its runs go on. Needs the role admin.
    """

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"ended": await plane.resign_leader()}

    return await change.change(EndedLeaseAnswer, ask)


@audit_router.get("/audit", operation_id="list_audit", summary="What was changed, and by whom")
async def list_audit(
    look: LookAsAdmin, subject: Subject = None, before: Before = None, limit: Limit = 50
) -> AuditAnswer:
    """Every change that a person or a program made, the newest first, page by page. Needs the role admin."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        page = await plane.audit(subject=subject, before=before, limit=limit)
        return {"changes": [audit_values(one) for one in page.changes], "before": page.before}

    return AuditAnswer.model_validate(await look.answer(ask))
