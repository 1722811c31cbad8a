"""What happens to runs, as a stream."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query
from starlette.responses import StreamingResponse

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_part import missing
from piko_flow.errors import StoreUnavailable
from piko_flow.ops.api.asking import Look
from piko_flow.ops.api.given import LARGEST, OnlyFlow
from piko_flow.ops.api.problem_route import ProblemRoute
from piko_flow.ops.live.broadcaster import TooManyListeners
from piko_flow.ops.live.event_stream import EventStream, pieces
from piko_flow.ops.live.topic import Topic

AGAIN = 10  # seconds
router = APIRouter(tags=["events"], route_class=ProblemRoute)
EXAMPLE = 'id: 5f1c0a9b-17\nevent: run_logged\ndata: {"run":42,"line":9}\n\n'
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events, as they happen, for up to five minutes; then come back with Last-Event-ID",
        "content": {"text/event-stream": {"schema": {"type": "string", "examples": [EXAMPLE]}}},
    }
}
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=64,
        pattern=r"^[ -~]*$",
        description="The id of the last event that was heard: the stream goes on after it.",
    ),
]


@router.get(
    "/events",
    operation_id="listen",
    summary="Hear what happens to runs",
    response_class=StreamingResponse,
    responses=STREAM,
)
async def listen(
    look: Look,
    flow: OnlyFlow = None,
    run: Annotated[int | None, Query(ge=1, le=LARGEST, description="Only this run.")] = None,
    last_event_id: LastEventId = None,
) -> EventStream:
    """Server-sent events of all runs, of a flow's, or of one: `run_began`, `run_changed`, `run_ended`, each with the run.

    With a flow or a run also `run_progress`: the run's number and a `report` of what its stages have done. With a run also
    `run_logged`: its number and that of the last `line` of its log. `reset` says that what happened until then is not
    known here: read anew what you show. A flow or a run that is not there is answered with 404.
    """

    async def check(plane: ControlPlane) -> None:
        await _check_there(plane, flow, run)

    with suppress(StoreUnavailable):  # the stream tells so, and goes on when the store is back
        await look.ask(check)
    topic = Topic(flow, run)
    stack = AsyncExitStack()
    listening = look.live.listening(topic, whose=look.visitor.token, after=last_event_id or "")
    try:
        listener = await stack.enter_async_context(listening)
    except TooManyListeners as error:
        raise HTTPException(429, str(error), headers={"Retry-After": str(AGAIN)}) from None
    return EventStream(pieces(look.live, listener), ending=stack)


async def _check_there(plane: ControlPlane, flow: str | None, run: int | None) -> None:
    """Raise NotFound for a flow that neither the code nor a row knows, and for a run that is not kept."""
    if flow is not None and flow not in plane.registry and await plane.row(flow) is None:
        rule = "a flow is registered or has a row"
        missing(f"listen to flow {flow!r}", rule, plane.registry.unknown(flow))
    if run is not None and await plane.store.run(run) is None:
        got = "there is no such run, or it has been pruned"
        missing(f"listen to run {run}", "a run has a number", got)
