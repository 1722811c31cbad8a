"""Parameters of flows: shown, set, looked back at, rolled back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.ops.api.answers.params import ParamsAnswer, ParamsHistoryAnswer, ParamsVersionAnswer
from piko_flow.ops.api.asking import Change, Look
from piko_flow.ops.api.given import LARGEST, Body, FlowInPath, Limit, Moment, Params, SeenVersion, seen, whole
from piko_flow.ops.api.problem_route import ProblemRoute

router = APIRouter(prefix="/flows/{flow}/params", tags=["params"], route_class=ProblemRoute)
LARGEST_VERSION = 2**31 - 1
Version = Annotated[int, Field(ge=1, le=LARGEST_VERSION), BeforeValidator(whole)]


class ParamsBody(Body):
    """What is set: `values` in the place of all that is set, or `changes` to it, name by name.

    Runs queued from `effective_from` on have them, at once without it.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"changes": {"region": "us"}},
                {"values": {"region": "us"}, "effective_from": "2026-03-01T00:00:00Z"},
            ]
        }
    )

    values: Params | None = None
    changes: Params | None = None
    schema_version: Version | None = None
    effective_from: Moment | None = None
    expected: SeenVersion | None = None


class RollbackBody(Body):
    """The version to go back to; `id` tells which one, where several had this number."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 2}]})

    version: Version
    id: Annotated[int, Field(ge=1, le=LARGEST), BeforeValidator(whole)] | None = None
    expected: SeenVersion | None = None


@router.get("", operation_id="show_params", summary="Show parameters")
async def show_params(look: Look, flow: FlowInPath) -> ParamsAnswer:
    """The parameters in force, where they come from, and what is about to change; secrets are hidden."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"params": await plane.params(flow)}

    return ParamsAnswer.model_validate(await look.answer(ask))


@router.patch("", operation_id="set_params", summary="Set parameters", response_model=ParamsVersionAnswer)
async def set_params(change: Change, flow: FlowInPath, body: ParamsBody) -> Response:
    """Write parameters, checked against the flow's model first. Runs that are queued keep what they have."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        version = await plane.set_params(
            flow,
            values=body.values,
            changes=body.changes,
            schema_version=body.schema_version,
            effective_from=body.effective_from,
            expected=seen(body),
        )
        return {"version": version, "given_up": await plane.given_up_params(version)}

    return await change.change(ParamsVersionAnswer, ask)


@router.get("/history", operation_id="params_history", summary="Earlier parameters")
async def params_history(look: Look, flow: FlowInPath, limit: Limit = 20) -> ParamsHistoryAnswer:
    """The versions that were seen, the newest first; secrets are hidden."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"versions": await plane.params_history(flow, limit=limit)}

    return ParamsHistoryAnswer.model_validate(await look.answer(ask))


@router.post(
    "/rollback",
    operation_id="rollback_params",
    summary="Go back to earlier parameters",
    response_model=ParamsVersionAnswer,
)
async def rollback_params(change: Change, flow: FlowInPath, body: RollbackBody) -> Response:
    """Write an earlier version's values as the newest version, in force at once; what was to come is given up."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        expected = seen(body)
        made = await plane.rollback_params(flow, body.version, number=body.id, expected=expected)
        return {"version": made, "given_up": await plane.given_up_params(made)}

    return await change.change(ParamsVersionAnswer, ask)
