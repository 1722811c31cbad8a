"""What people were told, and how long what operations leave is kept, in a database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from piko_flow.planning.moment import utc
from piko_flow.store.ops_fitting import fitting_episode
from piko_flow.store.ops_records import Episode, Untold
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.database import Database, Session, moments
from piko_flow.store.sql.dialects import Columns

EPISODE: Columns = {
    "kind": "word",
    "subject": "text",
    "told": "long",
    "since": "time",
    "lasting": "int",
    "begun_waits": "int",
}
READ = "SELECT kind, subject, told, id, since, over_at FROM piko_flow_episode"
LASTING = f"{READ} WHERE over_at IS NULL ORDER BY id"
THIS = f"{READ} WHERE kind = :kind AND subject = :subject AND lasting = 1"
END = (
    "UPDATE piko_flow_episode SET over_at = {now}, lasting = NULL, over_waits = 1 "
    "WHERE id = :episode AND lasting = 1"
)
UNTOLD = (
    "SELECT kind, subject, told, id, since, over_at, begun_waits, over_waits FROM piko_flow_episode "
    "WHERE (begun_waits = 1 AND since < :before) OR (over_waits = 1 AND over_at < :before) ORDER BY id LIMIT :limit"
)
OLD: dict[str, tuple[Columns, str]] = {
    "piko_flow_audit": ({"id": "int"}, "made_at < :before"),
    "piko_flow_episode": ({"id": "int"}, "over_at < :before"),
    "piko_flow_answer": ({"asked_by": "text", "request_key": "text"}, "began_at < :before"),
    "piko_flow_token": ({"id": "int"}, "(revoked_at < :before OR expires_at < :before)"),
}
"""For each table its key, and which rows nobody needs any more."""


class SqlNotices:
    """NoticeStore in a database; see the protocol for what is promised."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._lasting, self._this, self._end = map(dialect.statement, (LASTING, THIS, END))
        self._begin = dialect.insert_new("piko_flow_episode", EPISODE, key="kind, subject, lasting")
        self._untold = dialect.statement(UNTOLD)
        self._note_told = {
            column: dialect.update_from(
                "piko_flow_episode",
                {"id": "int"},
                on="piko_flow_episode.id = j.id",
                sets={column: "NULL"},
                where="1 = 1",
            )
            for column in ("begun_waits", "over_waits")
        }
        self._outlived = {
            table: (
                tuple(key),
                dialect.statement(f"SELECT {', '.join(key)} FROM {table} WHERE {old} LIMIT :limit"),
                dialect.delete_from(table, key),
            )
            for table, (key, old) in OLD.items()
        }

    async def open_episodes(self) -> list[Episode]:
        """Those that last, the first one first."""
        return list(map(_episode, await self._database.rows("list what people were told", self._lasting)))

    async def begin_episode(self, episode: Episode) -> Episode | None:
        """Begin an episode, unless one of the same kind and subject lasts: None then."""
        fit = fitting_episode(episode)

        async def work(session: Session) -> Episode | None:
            row = {
                "kind": fit.kind,
                "subject": fit.subject,
                "told": fit.told,
                "since": await session.now(),
                "lasting": 1,
                "begun_waits": 1,
            }
            if not await session.change_rows(self._begin, moments([row])):
                return None
            return _episode(await session.row(self._this, kind=fit.kind, subject=fit.subject))

        return await self._database.transact("note what people are told", work)

    async def end_episode(self, episode: int) -> bool:
        """End an episode; whether it lasted until now."""
        return await self._database.change("note what is over", self._end, episode=episode) == 1

    async def untold_episodes(self, *, before: datetime, limit: int) -> list[Untold]:
        """Those that began, or ended, before this, and of which nobody has noted that people were told so."""
        what, at = "list what people were not told", utc(before, "before")
        rows = await self._database.rows(what, self._untold, before=at, limit=limit)
        return [Untold(_episode(row), begun == 1, over == 1) for *row, begun, over in rows]

    async def note_told(self, *, begun: Collection[int], over: Collection[int]) -> None:
        """Note that people were told of the begin, or the end, of these episodes."""

        async def work(session: Session) -> None:
            for column, numbers in (("begun_waits", begun), ("over_waits", over)):
                rows = [{"id": number} for number in sorted(numbers)]
                await session.change_rows(self._note_told[column], rows)

        await self._database.transact("note what people were told", work)

    async def prune_operations(
        self, *, before: datetime | None, answers: datetime, tokens: datetime, limit: int
    ) -> int:
        """Delete of each what is older than said, at most `limit`; gives how many went."""
        until = {"piko_flow_answer": utc(answers, "answers"), "piko_flow_token": utc(tokens, "tokens")}
        if before is not None:
            until |= dict.fromkeys(("piko_flow_audit", "piko_flow_episode"), utc(before, "before"))
        gone, what = 0, "delete what operations left"
        for table, at in until.items():
            if gone >= limit:
                break
            key, old, delete = self._outlived[table]
            found = await self._database.rows(what, old, before=at, limit=limit - gone)
            rows: list[dict[str, Any]] = [dict(zip(key, row, strict=True)) for row in found]
            if rows:
                gone += await self._database.transact(what, _deletion(delete, rows))
        return gone


def _deletion(delete: Any, rows: list[dict[str, Any]]) -> Any:
    async def work(session: Session) -> int:
        return await session.change_rows(delete, rows)

    return work


def _episode(row: Any) -> Episode:
    kind, subject, told, number, since, over = row
    return replace(Episode(kind, subject, told, number), since=read_moment(since), over_at=read_moment(over))
