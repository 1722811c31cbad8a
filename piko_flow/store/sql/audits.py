"""What was changed, and answers that are kept for requests that come again, in a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from piko_flow.store.ops_fitting import fitting_answer, fitting_audit
from piko_flow.store.ops_records import AuditRecord, KeptAnswer
from piko_flow.store.ops_rules import KEPT, LOST
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.database import Database, Session, moments
from piko_flow.store.sql.dialects import Columns
from piko_flow.store.sql.failures import Collided

AUDIT: Columns = {
    "made_at": "time",
    "made_by": "text",
    "via": "word",
    "action": "word",
    "subject": "text",
    "value_before": "long",
    "value_after": "long",
}
READ = "made_by, via, action, subject, value_before, value_after, id, made_at"
WHERE = {"subject": "subject = :subject", "before": "id < :before"}
ANSWER: Columns = {
    "asked_by": "text",
    "request_key": "text",
    "asked": "text",
    "status": "int",
    "body": "long",
    "began_at": "time",
}
PLACE = "asked_by = :who AND request_key = :key"
THERE = f"SELECT request_key, asked_by, asked, status, body, began_at FROM piko_flow_answer WHERE {PLACE}"
TAKE_OVER = (
    f"UPDATE piko_flow_answer SET asked = :digest, status = 0, body = '', began_at = :now WHERE {PLACE} "
    "AND ((status <> 0 AND began_at < :kept) OR (status = 0 AND began_at < :lost))"
)
FORGET = f"DELETE FROM piko_flow_answer WHERE {PLACE}"


class SqlAudits:
    """The part of DoorStore that knows changes and answers; see the protocol for what is promised."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        key = "asked_by, request_key"
        self._new_audits = dialect.insert("piko_flow_audit", AUDIT)
        self._new_answer = dialect.insert_new("piko_flow_answer", ANSWER, key=key)
        self._keep_answer = dialect.upsert(
            "piko_flow_answer", ANSWER, key=key, sets=["asked", "status", "body"]
        )
        self._answer_there, self._answer_over = map(dialect.statement, (THERE, TAKE_OVER))
        self._forget_answer = dialect.statement(FORGET)

    async def add_audit(self, records: Sequence[AuditRecord]) -> None:
        """Store what was changed; id and time are given by the store."""
        fit = list(map(fitting_audit, records))

        async def work(session: Session) -> None:
            now = await session.now()
            rows = [
                {
                    "made_at": now,
                    "made_by": one.who,
                    "via": one.via,
                    "action": one.action,
                    "subject": one.subject,
                    "value_before": one.before,
                    "value_after": one.after,
                }
                for one in fit
            ]
            await session.change_rows(self._new_audits, moments(rows))

        if fit:
            await self._database.transact("keep what was changed", work)

    async def audit(
        self, *, subject: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[AuditRecord]:
        """What was changed, newest first; those with ids below `before`."""
        given = {"subject": subject, "before": before}
        asked = {name: value for name, value in given.items() if value is not None}
        where = " AND ".join(WHERE[name] for name in asked) or "1 = 1"
        text = f"SELECT {READ} FROM piko_flow_audit WHERE {where} ORDER BY id DESC LIMIT :limit"
        asking = self._database.dialect.statement(text)
        rows = await self._database.rows("list what was changed", asking, limit=limit, **asked)
        return list(map(_audit, rows))

    async def begin_answer(
        self, answer: KeptAnswer, *, kept: timedelta = KEPT, lost: timedelta = LOST
    ) -> KeptAnswer | None:
        """Note that a request is being answered; gives the one of the same key and person that is there, or None."""
        fit = fitting_answer(answer)
        place = {"who": fit.who, "key": fit.key}

        async def work(session: Session) -> KeptAnswer | None:
            now = await session.now()
            if await session.change_rows(self._new_answer, moments([_row(fit, now)])):
                return None
            over = {"kept": now - kept, "lost": now - lost, "now": now, "digest": fit.asked}
            if await session.change(self._answer_over, **over, **place):
                return None
            there = await session.row(self._answer_there, **place)
            if there is None:
                raise Collided
            return _answer(there)

        return await self._database.transact("note that a request is answered", work)

    async def end_answer(self, answer: KeptAnswer) -> None:
        """Keep the answer, by key and person; one with status 0 is forgotten."""
        fit = fitting_answer(answer)

        async def work(session: Session) -> None:
            if fit.status:
                row = _row(fit, await session.now())
                await session.change_rows(self._keep_answer, moments([row]))
            else:
                await session.change(self._forget_answer, who=fit.who, key=fit.key)

        await self._database.transact("keep an answer", work)


def _row(answer: KeptAnswer, now: Any) -> dict[str, Any]:
    return {
        "asked_by": answer.who,
        "request_key": answer.key,
        "asked": answer.asked,
        "status": answer.status,
        "body": answer.body,
        "began_at": now,
    }


def _answer(row: Any) -> KeptAnswer:
    key, who, asked, status, body, began = row
    return KeptAnswer(key, who, asked, status, body, read_moment(began))


def _audit(row: Any) -> AuditRecord:
    who, via, action, subject, before, after, number, made = row
    return AuditRecord(who, via, action, subject, before, after, number, read_moment(made))
