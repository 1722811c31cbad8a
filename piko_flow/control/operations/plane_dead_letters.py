"""Dead letters: looked at, chosen, dropped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from piko_flow.control.dead_letters.letter_files import LetterFiles, letter_files
from piko_flow.control.dead_letters.replaying import MOST
from piko_flow.control.dead_letters.window_completeness import Completeness, completeness
from piko_flow.control.operations.gates import Gates
from piko_flow.control.operations.plane_part import PlanePart, missing, refuse
from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import LIVE
from piko_flow.store.letter_states import OPEN
from piko_flow.store.records import DeadLetterRecord, LetterGroup
from piko_flow.store.seen import Seen, check_seen

GROUPS = 1000  # groups, or letters, of one page
SHORT = 4  # characters that are enough to name a group, where they are the only ones to begin so
SEE = "See piko-flow dead-letter list"


@dataclass(frozen=True, slots=True)
class WhichLetters:
    """The open letters that are meant: by number; or of a flow, of a group, or both.

    A group is named by the beginning of its fingerprint.
    """

    ids: tuple[int, ...] = ()
    flow: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Letters, newest first; `before` is what to ask the next page with, None after the last one."""

    letters: tuple[DeadLetterRecord, ...]
    before: int | None


@dataclass(frozen=True, slots=True)
class LetterView:
    """A letter with its item as JSON values (or `text`, where only that was kept), and how complete its window is.

    `why_not` says why it cannot be replayed now, empty where it can, None where the flow's code is not known. `window`
    is None where there is none, or the run that settled it is not known any more. `config_version` is the version of
    the row of parameters that its run had, None where it had none or that is not kept any more.
    """

    letter: DeadLetterRecord
    item: Any
    text: str
    why_not: str | None
    window: Completeness | None
    config_version: int | None


class PlaneDeadLetters(PlanePart):
    """List, show, drop."""

    async def letter_groups(
        self, *, flow: str | None = None, fingerprint: str | None = None, limit: int = 100
    ) -> list[LetterGroup]:
        """The open letters that failed alike, together; the group with the newest letter first.

        With `fingerprint`, which is a whole one, only that group.
        """
        _check_page(limit)
        return await self.store.letter_groups(flow=flow, fingerprint=fingerprint, limit=limit)

    async def dead_letters(
        self,
        *,
        flow: str | None = None,
        group: str | None = None,
        state: str | None = OPEN,
        before: int | None = None,
        limit: int = 100,
    ) -> LetterPage:
        """One page of letters, newest first; of all states where `state` is None.

        `group` is the beginning of a fingerprint. Refused where it is short, or where those of two groups begin so.
        """
        _check_page(limit)
        found = await self._found(flow, group, state, before=before, limit=limit)
        return LetterPage(tuple(found), found[-1].id if len(found) == limit else None)

    async def dead_letter(self, number: int) -> LetterView:
        """Everything that is kept of a letter. Refused when there is none of this number."""
        found = await self.store.dead_letters_of([number])
        if not found:
            got = "there is none, or its run has been pruned"
            missing(f"show dead letter {number}", "a dead letter has a number", got)
        [letter] = found
        kept = json.loads(await self._payload(letter))
        why_not: str | None = None
        if self.registry.get(letter.flow) is not None:
            why_not = await self._why_not_replayed(letter)
        window = None if letter.window is None else await completeness(self.store, letter)
        version = None
        if letter.params_version is not None:
            version = await self.store.params_version(letter.params_version)
        return LetterView(
            letter,
            kept.get("value"),
            kept.get("repr", ""),
            why_not,
            window,
            None if version is None else version.version,
        )

    def why_barred(self, letter: DeadLetterRecord) -> str:
        """Why neither this letter nor one that failed alike can be replayed, as far as that is known without building a
        pipeline; empty where nothing of that kind bars it."""
        try:
            Gates(self).flow_of(letter)
        except RequestRefused as error:
            return f"{error.rule}, and {error.got}"
        return ""

    async def drop(
        self, which: WhichLetters, *, by: str = "", expected: Seen | None = None
    ) -> list[DeadLetterRecord]:
        """Drop open letters, but for those that a live run replays: what their items were is kept no longer.

        Gives them as they were. Refused where there are none. Of what is `expected` a letter has its state and attempt.
        """
        chosen, _ = await self.chosen(which, "drop", expected)
        dropped = await self.store.drop_dead_letters([letter.id for letter in chosen])
        if not dropped:
            _check_state("drop dead letters", expected, "dropped or replayed meanwhile")
        for flow in sorted({letter.flow for letter in dropped}):
            was = {"letters": [letter.id for letter in dropped if letter.flow == flow], "state": OPEN}
            await self.changed(
                "dead_letter.drop", f"flow {flow}", before=was, after={"state": "dropped"}, by=by
            )
        files = self._files
        if files is not None:
            await asyncio.to_thread(files.remove, [one.payload_file for one in dropped if one.payload_file])
        return dropped

    @property
    def _files(self) -> LetterFiles | None:
        return letter_files(self.options, self.store.url)

    async def _payload(self, letter: DeadLetterRecord) -> str:
        """The whole payload, where it is in the row or in a file of this computer; else its beginning."""
        files = self._files
        if letter.payload_file and files is not None:
            with suppress(RequestRefused):
                return await asyncio.to_thread(files.read, letter)
        return letter.payload

    async def _why_not_replayed(self, letter: DeadLetterRecord) -> str:
        """Why the letter cannot be replayed now; empty where it can."""
        if letter.state != OPEN:
            return f"it was {letter.state}"
        if run := await self._replaying(letter):
            return f"run {run} replays it"
        try:
            await Gates(self).check(letter)
        except RequestRefused as error:
            return str(error)
        return ""

    async def chosen(
        self, which: WhichLetters, verb: str, expected: Seen | None = None
    ) -> tuple[list[DeadLetterRecord], bool]:
        """The open letters that are meant, newest first, and whether there are more. Refused where there are none."""
        what = f"{verb} dead letters"
        if bool(which.ids) == bool(which.flow or which.group):
            got = "got numbers, and a flow or a group too" if which.ids else "got neither"
            refuse(what, "they are named by number, or by flow and group", got)
        if which.ids:
            return await self._numbered(which.ids, what, expected), False
        found = await self._found(which.flow, which.group, OPEN, limit=MOST + 1)
        if not found:
            _check_state(what, expected, "open no more")
            refuse(what, "at least one is open", f"{_meant(which)} there is none", SEE)
        return found[:MOST], len(found) > MOST

    async def _numbered(self, ids: Sequence[int], what: str, expected: Seen | None) -> list[DeadLetterRecord]:
        if len(ids) > MOST:
            refuse(what, f"at most {MOST} are named at a time", f"got {len(ids)}", "Name their group")
        found = await self.store.dead_letters_of(ids)
        if unknown := set(ids) - {letter.id for letter in found}:
            got = f"there is no dead letter {min(unknown)}, or its run has been pruned"
            missing(what, "a dead letter has a number", got)
        for letter in found:
            named = f"{what}, {letter.id} among them"
            check_seen(named, expected, attempt=letter.attempt, state=letter.state)
            if letter.state != OPEN:
                by = f" by run {letter.replay_run}" if letter.replay_run else ""
                refuse(what, "a letter is open", f"dead letter {letter.id} was {letter.state}{by}")
            if run := await self._replaying(letter):
                refuse(what, "one run at a time replays a letter", f"run {run} replays {letter.id} already")
        return found

    async def _found(
        self, flow: str | None, group: str | None, state: str | None, *, limit: int, before: int | None = None
    ) -> list[DeadLetterRecord]:
        """The letters of a flow, of the group that begins so, in a state; newest first."""
        what = f"find group {group!r}"
        if group is not None and len(group) < SHORT:
            refuse(what, f"at least {SHORT} characters name a group", f"got {group!r}")
        found = await self.store.dead_letters(
            flow=flow, fingerprint=group, state=state, before=before, limit=limit
        )
        groups = {letter.fingerprint for letter in found}
        if group is not None and len(groups) > 1:
            refuse(what, "one group begins so", f"{len(groups)} do", "Give more of its characters")
        return found

    async def _replaying(self, letter: DeadLetterRecord) -> int | None:
        """The live run that replays the letter."""
        if letter.replay_run is None:
            return None
        run = await self.store.run(letter.replay_run)
        return run.id if run is not None and run.status in LIVE else None


def _meant(which: WhichLetters) -> str:
    """Whose letters were asked for, where they were not named by number."""
    named = (("group", which.group), ("flow", which.flow))
    return " ".join(f"of {kind} {name!r}" for kind, name in named if name)


def _check_state(what: str, expected: Seen | None, state: str) -> None:
    """As `check_seen`, of letters of which nothing is known but the state."""
    check_seen(what, None if expected is None else replace(expected, attempt=None), state=state)


def _check_page(limit: int) -> None:
    if not 1 <= limit <= GROUPS:
        refuse("list dead letters", f"a page has 1 to {GROUPS} of them", f"{limit} were asked for")
