"""Flows: listed, shown, explained, triggered."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, ConfigDict, Field
from starlette.responses import Response

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.view_values import flow_values, trigger_plan_values
from piko_flow.ops.api.answers.flows import FlowAnswer, FlowsAnswer
from piko_flow.ops.api.answers.runs import ExplanationAnswer, RunAnswer, TriggerPlanAnswer
from piko_flow.ops.api.asking import Change, Look
from piko_flow.ops.api.given import AfterFlow, Body, FlowInPath, GivenWindow, Limit, Params, plain_text
from piko_flow.ops.api.problem_route import ProblemRoute

router = APIRouter(prefix="/flows", tags=["flows"], route_class=ProblemRoute)
LONGEST_KEY = 183
PLAN: dict[int | str, dict[str, Any]] = {
    200: {"model": TriggerPlanAnswer, "description": "What would be done, with `dry_run`"}
}


class TriggerBody(Body):
    """A run that is asked for; `params` go over those in force, for this run.

    A flow with windows takes the `window`, else its oldest gap. A second trigger of the same `key` makes no second run.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"window": {"start": "2026-03-01T08:00:00Z", "end": "2026-03-01T09:00:00Z"}},
                {"params": {"region": "us"}, "dry_run": True},
            ]
        }
    )

    params: Params | None = None
    window: GivenWindow | None = None
    key: Annotated[str, Field(max_length=LONGEST_KEY), AfterValidator(plain_text)] = ""
    dry_run: bool = False

    def asked(self) -> dict[str, Any]:
        """The same as the plane takes it. Raises ScheduleError for a window that ends before it starts."""
        window = None if self.window is None else self.window.window()
        return {"params": self.params, "window": window, "key": self.key}


@router.get("", operation_id="list_flows", summary="List flows")
async def list_flows(
    look: Look,
    after: AfterFlow = "",
    limit: Limit = 100,
) -> FlowsAnswer:
    """The flows of the code and of the rows by name, with where each stands and when it runs next."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        page = await plane.flows(after=after, limit=limit)
        return {"flows": page.flows, "after": page.after}

    return FlowsAnswer.model_validate(await look.answer(ask))


@router.get("/{flow}", operation_id="show_flow", summary="Show a flow")
async def show_flow(look: Look, flow: FlowInPath) -> FlowAnswer:
    """One flow: its schedule with the next fires, its windows, its last run, and what the code says of it."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        view = await plane.flow(flow)
        return {"flow": view, "code": flow_values(view.flow)}

    return FlowAnswer.model_validate(await look.answer(ask))


@router.get("/{flow}/explanation", operation_id="explain_flow", summary="Why a flow is not running")
async def explain_flow(look: Look, flow: FlowInPath) -> ExplanationAnswer:
    """What keeps the flow from running, what it waits for, when it runs next; the most important first."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"explanation": await plane.explain_flow(flow)}

    return ExplanationAnswer.model_validate(await look.answer(ask))


@router.post(
    "/{flow}/runs",
    operation_id="trigger_flow",
    summary="Run a flow now",
    status_code=201,
    response_model=RunAnswer,
    responses=PLAN,
)
async def trigger_flow(change: Change, flow: FlowInPath, body: TriggerBody | None = None) -> Response:
    """Queue a run; some replica runs it. With `dry_run` everything is checked and told, and nothing is queued."""
    wanted = body or TriggerBody()
    asked = wanted.asked()
    if wanted.dry_run:

        async def plan(plane: ControlPlane) -> dict[str, Any]:
            return {"plan": trigger_plan_values(await plane.plan_trigger(flow, **asked))}

        return await change.change(TriggerPlanAnswer, plan)

    async def trigger(plane: ControlPlane) -> dict[str, Any]:
        # Kept by the run itself: also where this process dies before it has answered, there is one run.
        asked["key"] = wanted.key or change.asked.run_key
        return {"run": await plane.trigger(flow, **asked)}

    return await change.change(RunAnswer, trigger, status=201)
