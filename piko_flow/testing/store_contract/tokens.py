"""Tokens are made, found while they are good, used once, and revoked with the sessions that they opened."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from piko_flow.errors import RequestRefused
from piko_flow.store.ops_records import Role, TokenKind, TokenRecord
from piko_flow.store.protocols import Store
from piko_flow.store.texts import NAMES, TOLD
from piko_flow.testing.store_contract.raising import raises
from piko_flow.testing.store_contract.scene import HOUR, Check, StoreUnderTest, lead

TOKEN: Final = TokenRecord("ann", "a" * 64, Role.OPERATOR, created_by="root")
SESSION: Final = TokenRecord("ann", "5" * 64, Role.VIEWER, TokenKind.SESSION)


async def made(store: Store, digest: str, **columns: object) -> TokenRecord:
    """A token that has this digit as its digest."""
    return await store.add_token(replace(TOKEN, digest=digest * 64, **columns))  # type: ignore[arg-type]


async def a_token_is_found_by_its_digest_as_it_was_made(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        token = await store.add_token(TOKEN)
        assert token.created_at is not None
        assert token == replace(TOKEN, id=token.id, created_at=token.created_at)
        assert await other.token(TOKEN.digest) == token
        assert await other.token("b" * 64) is None
        assert (await made(store, "b")).id > token.id


async def a_token_is_good_until_it_expires_by_the_clock_of_the_store(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await lead(store)
        now = (await store.pulse("default", "one")).now
        await made(store, "b", expires_at=now - HOUR)
        good = await made(store, "c", expires_at=now + HOUR)
        assert await store.token("b" * 64) is None
        assert await store.use_token("b" * 64) is None
        assert await store.token("c" * 64) == good
        assert [one.digest[0] for one in await store.tokens()] == ["c", "b"]


async def of_many_tokens_those_that_are_good_are_found_by_one_statement(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        await lead(store)
        now = (await store.pulse("default", "one")).now
        lasting, soon = await made(store, "0"), await made(store, "1", expires_at=now + HOUR)
        await made(store, "2", expires_at=now - HOUR)
        await other.revoke_token((await made(store, "3")).id)
        await made(store, "4")  # is not asked for
        before = store.statements
        found = await store.good_tokens([digit * 64 for digit in "01239"])
        assert store.statements - before == 1
        assert sorted((one.token for one in found), key=lambda token: token.id) == [lasting, soon]
        assert all(now <= one.at < now + HOUR for one in found)
        assert await store.good_tokens(["9" * 64]) == await store.good_tokens([]) == []


async def a_token_is_used_once_by_one_of_all_who_ask_at_once(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        for digit in "0123":
            link = await made(store, digit, kind=TokenKind.LOGIN)
            asked = (one.use_token(link.digest) for one in (store, other, store, other))
            given = [one for one in await asyncio.gather(*asked) if one is not None]
            assert [(one.id, one.revoked_at is not None) for one in given] == [(link.id, True)]
            assert [one.used_at for one in given] == [one.revoked_at for one in given]
            assert await store.token(link.digest) is None


async def tokens_of_programs_are_listed_and_no_others(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, second = await made(store, "0"), await made(store, "1")
        await made(store, "2", kind=TokenKind.LOGIN)
        await made(store, "3", kind=TokenKind.SESSION)
        assert await store.tokens() == [second, first]
        await store.note_use([first.id, 999_999])
        await store.note_use([])
        assert [one.used_at is None for one in await store.tokens()] == [True, False]


async def a_revoked_token_takes_its_sessions_with_it(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        token, stranger = await store.add_token(TOKEN), await made(store, "b")
        session = await store.add_token(replace(SESSION, parent=token.id))
        assert (await store.token(SESSION.digest), session.parent) == (session, token.id)
        revoked = await other.revoke_token(token.id)
        assert revoked is not None
        assert revoked.revoked_at is not None
        assert revoked == replace(token, revoked_at=revoked.revoked_at)
        assert [await store.token(digest) for digest in (TOKEN.digest, SESSION.digest)] == [None, None]
        assert await store.token(stranger.digest) == stranger
        assert await store.revoke_token(token.id) == revoked, "again changes nothing"
        assert await store.revoke_token(999_999) is None
        await raises(RequestRefused, store.add_token(replace(SESSION, digest="6" * 64, parent=token.id)))
        await raises(RequestRefused, store.add_token(replace(SESSION, digest="6" * 64, parent=999_999)))
        assert await store.token("6" * 64) is None


async def a_session_that_is_revoked_leaves_its_token_good(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        token = await store.add_token(TOKEN)
        session = await store.add_token(replace(SESSION, parent=token.id))
        await store.revoke_token(session.id)
        assert await store.token(SESSION.digest) is None
        assert await store.token(TOKEN.digest) == token


async def of_the_sessions_of_a_token_the_newest_are_kept(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        await lead(store)
        now = (await store.pulse("default", "one")).now
        token, stranger = await store.add_token(TOKEN), await made(store, "b")
        old, ended, *rest = [
            await store.add_token(replace(SESSION, digest=f"5{digit}" * 32, parent=token.id))
            for digit in "0123"
        ]
        await store.add_token(replace(SESSION, digest="6" * 64, parent=token.id, expires_at=now - HOUR))
        theirs = await store.add_token(replace(SESSION, digest="7" * 64, parent=stranger.id))
        await store.revoke_token(ended.id)
        assert await other.keep_newest_sessions(token.id, 3) == []
        assert await other.keep_newest_sessions(token.id, 2) == [old.id]
        assert await store.token(old.digest) is None
        for one in (*rest, theirs, token):
            assert await store.token(one.digest) == one
        assert await store.keep_newest_sessions(token.id, 0) == [one.id for one in rest]
        assert await store.token(TOKEN.digest) == token


async def a_session_is_good_no_longer_than_its_token(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await lead(store)
        soon = (await store.pulse("default", "one")).now + HOUR
        token = await store.add_token(replace(TOKEN, expires_at=soon))
        for digit, wanted, got in (("1", None, soon), ("2", soon + HOUR, soon), ("3", soon - HOUR / 2, None)):
            session = replace(SESSION, digest=digit * 64, parent=token.id, expires_at=wanted)
            assert (await store.add_token(session)).expires_at == (got or wanted)


async def a_session_that_is_made_while_its_token_is_revoked_is_not_good(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        for digit in "0123":
            token = await made(store, digit)
            session = replace(SESSION, digest=f"5{digit}" * 32, parent=token.id)
            await asyncio.gather(
                other.revoke_token(token.id), store.add_token(session), return_exceptions=True
            )
            assert await store.token(session.digest) is None


async def names_of_tokens_that_are_too_long_are_refused(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await raises(RequestRefused, store.add_token(replace(TOKEN, name="n" * (NAMES["token"] + 1))))
        await raises(RequestRefused, store.add_token(replace(TOKEN, name="a\0")))
        kept = await store.add_token(replace(TOKEN, created_by="🦔" * 500))
        assert len(kept.created_by) == TOLD["created_by"]


CHECKS: Final[tuple[Check, ...]] = (
    a_token_is_found_by_its_digest_as_it_was_made,
    a_token_is_good_until_it_expires_by_the_clock_of_the_store,
    of_many_tokens_those_that_are_good_are_found_by_one_statement,
    a_token_is_used_once_by_one_of_all_who_ask_at_once,
    tokens_of_programs_are_listed_and_no_others,
    a_revoked_token_takes_its_sessions_with_it,
    a_session_that_is_revoked_leaves_its_token_good,
    of_the_sessions_of_a_token_the_newest_are_kept,
    a_session_is_good_no_longer_than_its_token,
    a_session_that_is_made_while_its_token_is_revoked_is_not_good,
    names_of_tokens_that_are_too_long_are_refused,
)
