"""Dead letters: in groups that failed alike, one by one, replayed and dropped."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_dead_letters import LetterPage, LetterView, WhichLetters
from piko_flow.control.operations.plane_replays import ReplayRequest
from piko_flow.counting import are, counted
from piko_flow.ops.console.conflicts import conflict, seen_by
from piko_flow.ops.console.flash import told
from piko_flow.ops.console.forms import form_of, refuse, whole
from piko_flow.ops.console.numbered import Number
from piko_flow.ops.console.page_group import PageGroup
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.sentences import MARKED
from piko_flow.ops.console.shown_items import of_repr, of_value
from piko_flow.ops.console.view import query
from piko_flow.ops.visitor import AtLeast, Visitor
from piko_flow.store.ops_records import Role
from piko_flow.store.records import DeadLetterRecord, LetterGroup

PAGE, GROUPS = 50, 200
VERBS = (  # what can be done to a group: the verb, its button with its style, and what is asked before
    ("replay", "Replay", "", "Replay {}?"),
    ("drop", "Drop", " btn--danger", "Drop {}? What failed is kept no longer."),
)
Operator = Annotated[Visitor, Depends(AtLeast(Role.OPERATOR))]


class LetterPages(PageGroup):
    """Shows dead letters, and changes them."""

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=pages_route(self._view), include_in_schema=False)
        look = [Depends(AtLeast(Role.VIEWER))]
        router.add_api_route("/dead-letters", self.groups, dependencies=look)
        router.add_api_route("/dead-letters/group", self.group, dependencies=look)
        router.add_api_route("/dead-letters/group/{verb}", self.change_group, methods=["POST"])
        router.add_api_route("/dead-letters/{number}", self.letter, dependencies=look)
        router.add_api_route("/dead-letters/{number}/{verb}", self.change, methods=["POST"])
        return router

    async def groups(self, request: Request) -> Response:
        """The open ones in groups."""
        flow = request.query_params.get("flow", "")[:200]

        async def read(plane: ControlPlane) -> tuple[list[tuple[LetterGroup, str]], datetime]:
            found = await plane.letter_groups(flow=flow or None, limit=GROUPS)
            return [(group, plane.why_barred(group.example)) for group in found], await plane.now()

        found, now = await self._process.ask(read)
        return self._view.page(
            request,
            "letters.html",
            section="/dead-letters",
            groups=found,
            verbs=VERBS,
            facts=facts_of,
            now=now,
            asked={"flow": flow},
        )

    async def group(self, request: Request) -> Response:
        """The letters of a group."""
        asked = request.query_params
        flow, name = asked.get("flow", "")[:200], asked.get("group", "")[:80]
        before = whole(asked.get("before"), 0, most=2**62)
        if not flow or not name:
            return RedirectResponse("/dead-letters", 303)

        async def read(plane: ControlPlane) -> tuple[LetterPage, LetterGroup | None, str, datetime]:
            page = await plane.dead_letters(flow=flow, group=name, before=before or None, limit=PAGE)
            barred = plane.why_barred(page.letters[0]) if page.letters else ""
            alike = await _group(plane, flow, page.letters[0].fingerprint) if page.letters else None
            return page, alike, barred, await plane.now()

        page, alike, barred, now = await self._process.ask(read)
        return self._view.page(
            request,
            "letter_group.html",
            section="/dead-letters",
            letters=page.letters,
            alike=alike,
            barred=barred,
            verbs=VERBS,
            facts=facts_of,
            before=page.before,
            now=now,
            asked={"flow": flow, "group": name, "before": before or ""},
        )

    async def letter(self, request: Request, number: Number) -> Response:
        """One letter with its item."""

        async def read(plane: ControlPlane) -> tuple[LetterView, str, datetime]:
            view = await plane.dead_letter(number)
            why_not = plane.why_barred(view.letter) if view.why_not is None else view.why_not
            return view, why_not, await plane.now()

        view, why_not, now = await self._process.ask(read)
        return self._view.page(
            request,
            "letter.html",
            section="/dead-letters",
            view=view,
            letter=view.letter,
            why_not=why_not,
            item=of_repr(view.text) if view.text else of_value(view.item),
            now=now,
        )

    async def change(self, request: Request, number: Number, verb: str, who: Operator) -> Response:
        """Replay or drop one letter, if it is as the page showed it."""
        seen, which = seen_by(await form_of(request), "state", "attempt"), WhichLetters((number,))
        _check_verb(verb)
        if verb == "replay":
            asked = await self._process.ask(
                lambda plane: plane.acting(who.name, who.via).replay(which, expected=seen)
            )
            run = asked.runs[0].id
            return told(request, f"/runs/{run}", f"Run {run} replays dead letter {number}.")
        await self._process.ask(lambda plane: plane.acting(who.name, who.via).drop(which, expected=seen))
        return told(request, "/dead-letters", f"Dead letter {number} is dropped.")

    async def change_group(self, request: Request, verb: str, who: Operator) -> Response:
        """Replay or drop the open letters of a group, if it is as the page showed it."""
        form = await form_of(request)
        flow, name, seen = form.get("flow", ""), form.get("group", ""), form.get("seen_group", "")
        _check_verb(verb)
        which = WhichLetters((), flow, name)
        back = f"/dead-letters{query({'flow': flow})}"
        if verb == "replay":
            asked = await self._process.ask(lambda plane: _replay_group(plane, who, which, seen))
            return told(
                request, back, _queued(asked), tone="gap" if asked.untaken or asked.more else "success"
            )
        dropped = await self._process.ask(lambda plane: _drop_group(plane, who, which, seen))
        return told(
            request,
            back,
            f"{counted(len(dropped), 'dead letter')} {are(len(dropped))} dropped.",
        )


async def _replay_group(plane: ControlPlane, who: Visitor, which: WhichLetters, seen: str) -> ReplayRequest:
    await _check_group(plane, which, seen)
    return await plane.acting(who.name, who.via).replay(which)


async def _drop_group(
    plane: ControlPlane, who: Visitor, which: WhichLetters, seen: str
) -> list[DeadLetterRecord]:
    await _check_group(plane, which, seen)
    dropped = await plane.acting(who.name, who.via).drop(which)
    if not dropped:
        conflict(
            f"drop the dead letters of {which.flow!r} that failed alike", "open ones", "a run replays them"
        )
    return dropped


async def _check_group(plane: ControlPlane, which: WhichLetters, seen: str) -> None:
    """Raise RequestConflicts where a letter of the group has come, gone, or failed once more since it was seen."""
    group = await _group(plane, which.flow or "", which.group or "")
    now = "" if group is None else facts_of(group)
    if now != seen:
        what = f"change the dead letters of {which.flow!r} that failed alike"
        conflict(what, _told_facts(seen), _told_facts(now))


async def _group(plane: ControlPlane, flow: str, fingerprint: str) -> LetterGroup | None:
    """The group of this fingerprint; None where none of its letters is open."""
    return next(iter(await plane.letter_groups(flow=flow, fingerprint=fingerprint, limit=1)), None)


def facts_of(group: LetterGroup) -> str:
    """What a form says that its page showed of a group: each replay that fails again makes it another text."""
    return f"{group.count}/{group.example.id}/{group.last.astimezone(UTC).isoformat()}"


def _told_facts(facts: str) -> str:
    """The facts of a group as people read them."""
    count, _, rest = facts.partition("/")
    newest, _, last = rest.partition("/")
    if not count.isascii() or not count.isdecimal() or len(count) > 18:
        return "none that is open"
    try:
        failed = MARKED.at(datetime.fromisoformat(last))
    except ValueError:
        failed = "an unknown time"
    return f"{counted(int(count), 'open one')}, number {newest:.20} the newest, of which one failed last at {failed}"


def _check_verb(verb: str) -> None:
    if verb not in ("replay", "drop"):
        refuse("change dead letters", "they are replayed or dropped", f"got {verb!r:.40}")


def _queued(asked: ReplayRequest) -> str:
    taken = sum(len(one.letters) for one in asked.replays)
    text = f"{counted(len(asked.runs), 'run')} {'replays' if len(asked.runs) == 1 else 'replay'} {counted(taken, 'dead letter')}."
    if asked.untaken:
        text += f" {len(asked.untaken)} cannot be replayed: {asked.untaken[0].reason}."
    return f"{text} There are more: ask again when these have ended." if asked.more else text
