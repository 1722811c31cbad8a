"""Dead letters: listed, grouped, shown, replayed, dropped."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from piko_flow.control.dead_letters.replaying import MOST
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.ops.api.answers.dead_letters import (
    DeadLetterAnswer,
    DeadLettersAnswer,
    DroppedAnswer,
    LetterGroupsAnswer,
    ReplayAnswer,
)
from piko_flow.ops.api.asking import Change, Look
from piko_flow.ops.api.given import (
    LARGEST,
    Before,
    Body,
    FlowText,
    Limit,
    OnlyFlow,
    SeenState,
    number_of,
    seen,
    whole,
)
from piko_flow.ops.api.problem_route import ProblemRoute

router = APIRouter(prefix="/dead-letters", tags=["dead letters"], route_class=ProblemRoute)
LetterInPath = Annotated[int, number_of("a dead letter")]
GROUP = r"^[0-9a-zA-Z_-]{4,128}$"
OnlyGroup = Annotated[
    str | None, Query(pattern=GROUP, description="Only this group's: the beginning of its fingerprint.")
]
State = Annotated[
    Literal["open", "replayed", "dropped", "all"], Query(description="Only letters in this state.")
]


class LettersBody(Body):
    """Which letters are meant: by number; or all open ones of a flow, of a group, or both."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": [3, 4]}, {"flow": "sync_orders"}]})

    ids: (
        Annotated[
            list[Annotated[int, Field(ge=1, le=LARGEST), BeforeValidator(whole)]], Field(max_length=MOST)
        ]
        | None
    ) = None
    flow: FlowText | None = None
    group: Annotated[str, Field(pattern=GROUP)] | None = None
    expected: SeenState | None = None

    def which(self) -> WhichLetters:
        """The same as the plane takes it."""
        return WhichLetters(tuple(dict.fromkeys(self.ids or ())), self.flow, self.group)


@router.get("", operation_id="list_dead_letters", summary="List dead letters")
async def list_dead_letters(
    look: Look,
    flow: OnlyFlow = None,
    group: OnlyGroup = None,
    state: State = "open",
    before: Before = None,
    limit: Limit = 50,
) -> DeadLettersAnswer:
    """Letters, the newest first, page by page."""
    wanted = None if state == "all" else state

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        page = await plane.dead_letters(flow=flow, group=group, state=wanted, before=before, limit=limit)
        return {"letters": page.letters, "before": page.before}

    return DeadLettersAnswer.model_validate(await look.answer(ask))


@router.get("/groups", operation_id="list_dead_letter_groups", summary="List groups of dead letters")
async def list_groups(look: Look, flow: OnlyFlow = None, limit: Limit = 50) -> LetterGroupsAnswer:
    """The open letters that failed alike, together; the group with the newest letter first."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"groups": await plane.letter_groups(flow=flow, limit=limit)}

    return LetterGroupsAnswer.model_validate(await look.answer(ask))


@router.get("/{letter:int}", operation_id="show_dead_letter", summary="Show a dead letter")
async def show_dead_letter(look: Look, letter: LetterInPath) -> DeadLetterAnswer:
    """One letter: the item, its error, whether it can be replayed, and what its window lacks."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"letter": await plane.dead_letter(letter)}

    return DeadLetterAnswer.model_validate(await look.answer(ask))


@router.post(
    "/replay",
    operation_id="replay_dead_letters",
    summary="Replay dead letters",
    status_code=201,
    response_model=ReplayAnswer,
)
async def replay_dead_letters(change: Change, body: LettersBody) -> Response:
    """Queue runs that replay them: each enters at the stage that it failed at, with the code of today."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"replay": await plane.replay(body.which(), expected=seen(body))}

    return await change.change(ReplayAnswer, ask, status=201)


@router.post(
    "/drop", operation_id="drop_dead_letters", summary="Drop dead letters", response_model=DroppedAnswer
)
async def drop_dead_letters(change: Change, body: LettersBody) -> Response:
    """Drop them for good: what the items were is kept no longer."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"dropped": [one.id for one in await plane.drop(body.which(), expected=seen(body))]}

    return await change.change(DroppedAnswer, ask)
