"""Who may come in, and what they changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from piko_flow.store.memory.part import MemoryPart
from piko_flow.store.ops_fitting import TOKENS, fitting_answer, fitting_audit, fitting_token
from piko_flow.store.ops_records import AuditRecord, GoodToken, KeptAnswer, TokenKind, TokenRecord
from piko_flow.store.ops_rules import KEPT, LOST, heir_of, is_good, is_over


class MemoryDoor(MemoryPart):
    """DoorStore in memory; see the protocol for what is promised."""

    async def add_token(self, token: TokenRecord) -> TokenRecord:
        """Store a token; its id and `created_at` are given by the store."""
        now, rows, token = self._ask(), self._rows, fitting_token(token)
        if token.parent:
            token = heir_of(token, rows.tokens.get(token.parent), now)
        rows.need_room("a token", rows.tokens)
        token = replace(token, id=rows.next_id("tokens"), created_at=now, revoked_at=None, used_at=None)
        rows.tokens[token.id] = token
        return token

    async def token(self, digest: str) -> TokenRecord | None:
        """The token of this digest if it is good now."""
        return self._good(digest, self._ask())

    async def good_tokens(self, digests: Collection[str]) -> list[GoodToken]:
        """Those of the tokens of these digests that are good now, in no order, with the time."""
        now, wanted = self._ask(), set(digests)
        found = (one for one in self._rows.tokens.values() if one.digest in wanted)
        return [GoodToken(one, now) for one in found if is_good(one, now)]

    async def use_token(self, digest: str) -> TokenRecord | None:
        """Revoke the token of this digest if it is good now, and give it."""
        now = self._ask()
        token = self._good(digest, now)
        if token is None:
            return None
        used = self._rows.tokens[token.id] = replace(token, revoked_at=now, used_at=now)
        return used

    async def note_use(self, ids: Collection[int]) -> None:
        """Set `used_at` of these tokens to now."""
        now, tokens = self._ask(), self._rows.tokens
        for number in ids:
            if number in tokens:
                tokens[number] = replace(tokens[number], used_at=now)

    async def tokens(self) -> list[TokenRecord]:
        """The API tokens, newest first, those among them that are not good any more."""
        self._ask()
        newest = (one for one in reversed(self._rows.tokens.values()) if one.kind is TokenKind.API)
        return list(islice(newest, TOKENS))

    async def revoke_token(self, token: int) -> TokenRecord | None:
        """Revoke a token, with the sessions that were opened by it; None where there is none."""
        now, tokens = self._ask(), self._rows.tokens
        known = tokens.get(token)
        if known is None or known.revoked_at is not None:
            return known
        for one in [known, *(one for one in tokens.values() if one.parent == token)]:
            if one.revoked_at is None:
                tokens[one.id] = replace(one, revoked_at=now)
        return tokens[token]

    async def keep_newest_sessions(self, parent: int, most: int) -> list[int]:
        """Revoke the sessions that this token opened but for the newest `most` of those that are good; gives which."""
        now, tokens = self._ask(), self._rows.tokens
        sessions = [one for one in tokens.values() if one.parent == parent and one.kind is TokenKind.SESSION]
        surplus = [one for one in sessions if is_good(one, now)][: -most or None]
        for one in surplus:
            tokens[one.id] = replace(one, revoked_at=now)
        return [one.id for one in surplus]

    async def add_audit(self, records: Sequence[AuditRecord]) -> None:
        """Store what was changed; id and time are given by the store."""
        now, rows = self._ask(), self._rows
        with rows.transaction():
            for record in records:
                rows.need_room("an audit", rows.audits)
                number = rows.next_id("audits")
                rows.put(rows.audits, number, replace(fitting_audit(record), id=number, at=now))

    async def audit(
        self, *, subject: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[AuditRecord]:
        """What was changed, newest first; those with ids below `before`."""
        self._ask()
        found = (
            record
            for record in reversed(self._rows.audits.values())
            if subject in (None, record.subject) and (before is None or record.id < before)
        )
        return list(islice(found, limit))

    async def begin_answer(
        self, answer: KeptAnswer, *, kept: timedelta = KEPT, lost: timedelta = LOST
    ) -> KeptAnswer | None:
        """Note that a request is being answered; gives the one of the same key and person that is there, or None."""
        now, rows, answer = self._ask(), self._rows, fitting_answer(answer)
        place = (answer.who, answer.key)
        there = rows.answers.get(place)
        if there is not None and not is_over(there, now, kept=kept, lost=lost):
            return there
        if there is None:
            rows.need_room("an answer", rows.answers)
        rows.answers[place] = replace(answer, at=now)
        return None

    async def end_answer(self, answer: KeptAnswer) -> None:
        """Keep the answer, by key and person; one with status 0 is forgotten."""
        now, answers, answer = self._ask(), self._rows.answers, fitting_answer(answer)
        place = (answer.who, answer.key)
        if not answer.status:
            answers.pop(place, None)
            return
        begun = answers.get(place)
        answers[place] = replace(answer, at=now if begun is None else begun.at)

    def _good(self, digest: str, now: datetime) -> TokenRecord | None:
        found = (one for one in self._rows.tokens.values() if one.digest == digest)
        token = next(found, None)
        return token if token is not None and is_good(token, now) else None
