"""Who may come in, in a database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from piko_flow.store.ops_fitting import TOKENS, fitting_token
from piko_flow.store.ops_records import GoodToken, Role, TokenKind, TokenRecord
from piko_flow.store.ops_rules import heir_of
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.database import Database, Session, moments
from piko_flow.store.sql.dialects import Columns

TOKEN: Columns = {
    "name": "text",
    "digest": "word",
    "role": "word",
    "kind": "word",
    "created_by": "text",
    "created_at": "time",
    "expires_at": "time",
    "parent": "int",
}
READ = "name, digest, role, kind, id, created_by, created_at, expires_at, revoked_at, used_at, parent"
GOOD = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > {now})"
BY_DIGEST = f"SELECT {READ} FROM piko_flow_token WHERE digest = :digest"
DIGESTS: Columns = {"digest": "word"}
LISTED = f"SELECT {READ} FROM piko_flow_token WHERE kind = 'api' ORDER BY id DESC LIMIT :limit"
USE = f"UPDATE piko_flow_token SET revoked_at = {{now}}, used_at = {{now}} WHERE digest = :digest AND {GOOD}"
SURPLUS = (
    "SELECT id FROM piko_flow_token WHERE parent = :parent AND kind = 'session' "
    f"AND {GOOD} ORDER BY id DESC LIMIT :limit OFFSET :most"
)
REVOKE = "UPDATE piko_flow_token SET revoked_at = :at WHERE (id = :token OR parent = :token) AND revoked_at IS NULL"


class SqlTokens:
    """The part of DoorStore that knows tokens; see the protocol for what is promised."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect, statement = database.dialect, database.dialect.statement
        self._new_token = dialect.insert("piko_flow_token", TOKEN)
        self._by_digest, self._good = statement(BY_DIGEST), statement(f"{BY_DIGEST} AND {GOOD}")
        self._listed, self._use, self._revoke = map(statement, (LISTED, USE, REVOKE))
        self._all_good = statement(
            f"SELECT {{now}}, {READ} FROM piko_flow_token "
            f"WHERE digest IN (SELECT j.digest FROM {dialect.rows(DIGESTS)} AS j) AND {GOOD}",
            DIGESTS,
        )
        self._by_id = statement(f"SELECT {READ} FROM piko_flow_token WHERE id = :token{{lock}}")
        self._old_sessions = statement(SURPLUS)
        self._end_sessions = dialect.update_from(
            "piko_flow_token",
            {"id": "int"},
            on="piko_flow_token.id = j.id",
            sets={"revoked_at": "{now}"},
            where="revoked_at IS NULL",
        )
        self._note_use = dialect.update_from(
            "piko_flow_token",
            {"id": "int"},
            on="piko_flow_token.id = j.id",
            sets={"used_at": "{now}"},
            where="1 = 1",
        )

    async def add_token(self, token: TokenRecord) -> TokenRecord:
        """Store a token; its id and `created_at` are given by the store."""
        fit = fitting_token(token)

        async def work(session: Session) -> TokenRecord:
            now, made = await session.now(), fit
            if made.parent:
                # Locked, so that whoever revokes it meanwhile finds the new one, too.
                made = heir_of(made, await self._token_of(session, made.parent), now)
            row = {name: getattr(made, name) for name in TOKEN} | {"created_at": now}
            await session.change_rows(self._new_token, moments([row]))
            return _token(await session.row(self._by_digest, digest=made.digest))

        return await self._database.transact("keep a token", work)

    async def token(self, digest: str) -> TokenRecord | None:
        """The token of this digest if it is good now."""
        row = await self._database.row("look up a token", self._good, digest=digest)
        return None if row is None else _token(row)

    async def good_tokens(self, digests: Collection[str]) -> list[GoodToken]:
        """Those of the tokens of these digests that are good now, in no order, with the time."""
        wanted = [{"digest": digest} for digest in sorted(digests)]
        if not wanted:
            return []

        async def work(session: Session) -> list[GoodToken]:
            rows = await session.given_rows(self._all_good, wanted)
            return [GoodToken(_token(row[1:]), session.heard(row[0])) for row in rows]

        return await self._database.once("look up tokens", work)

    async def use_token(self, digest: str) -> TokenRecord | None:
        """Revoke the token of this digest if it is good now, and give it."""

        async def work(session: Session) -> TokenRecord | None:
            if not await session.change(self._use, digest=digest):
                return None
            return _token(await session.row(self._by_digest, digest=digest))

        return await self._database.transact("use a token", work)

    async def note_use(self, ids: Collection[int]) -> None:
        """Set `used_at` of these tokens to now."""
        rows = [{"id": number} for number in sorted(ids)]
        if rows:
            await self._database.once(
                "note that tokens were used",
                lambda session: session.change_rows(self._note_use, rows),
                writes=True,
            )

    async def tokens(self) -> list[TokenRecord]:
        """The API tokens, newest first, those among them that are not good any more."""
        return list(map(_token, await self._database.rows("list tokens", self._listed, limit=TOKENS)))

    async def revoke_token(self, token: int) -> TokenRecord | None:
        """Revoke a token, with the sessions that were opened by it; None where there is none."""

        async def work(session: Session) -> TokenRecord | None:
            known = await self._token_of(session, token)
            if known is None or known.revoked_at is not None:
                return known
            now = await session.now()
            await session.change(self._revoke, token=token, at=now)
            return replace(known, revoked_at=now)

        return await self._database.transact("revoke a token", work)

    async def keep_newest_sessions(self, parent: int, most: int) -> list[int]:
        """Revoke the sessions that this token opened but for the newest `most` of those that are good; gives which."""

        async def work(session: Session) -> list[int]:
            found = await session.rows(self._old_sessions, parent=parent, most=most, limit=TOKENS)
            rows = [{"id": number} for (number,) in found]
            await session.change_rows(self._end_sessions, rows)
            return sorted(row["id"] for row in rows)

        return await self._database.transact("end the oldest sessions", work)

    async def _token_of(self, session: Session, token: int) -> TokenRecord | None:
        row = await session.row(self._by_id, token=token)
        return None if row is None else _token(row)


def _token(row: Any) -> TokenRecord:
    name, digest, role, kind, number, created_by, *rest, parent = row
    created, expires, revoked, used = map(read_moment, rest)
    return TokenRecord(
        *(name, digest, Role(role), TokenKind(kind), number, created_by),
        created_at=created,
        expires_at=expires,
        revoked_at=revoked,
        used_at=used,
        parent=parent,
    )
