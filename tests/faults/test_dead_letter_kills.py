"""A replay that is killed at any moment, however often, has replayed each letter once in the end."""

from __future__ import annotations

import os
import random
from collections import Counter

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from piko_flow.settings.values import with_driver
from piko_flow.store.opening import open_store
from tests.faults.killed_replays import NUMBERS, TABLE
from tests.faults.killing import killing

KILLS = 8  # at least, for each kind of database
MOST = 4  # in one round


async def make_table(database: str) -> None:
    """The table that the flow writes to, without a key: it takes a row twice."""
    engine = create_async_engine(with_driver(database))
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"CREATE TABLE {TABLE} (number INTEGER NOT NULL)"))
    finally:
        await engine.dispose()


async def rows(database: str) -> Counter[int]:
    """How often each number was written."""
    engine = create_async_engine(with_driver(database))
    try:
        async with engine.connect() as connection:
            return Counter((await connection.execute(text(f"SELECT number FROM {TABLE}"))).scalars())
    finally:
        await engine.dispose()


async def test_a_replay_that_is_killed_replays_each_letter_once(database_url: str) -> None:
    seed = int(os.environ.get("PIKO_TEST_SEED") or random.randrange(2**32))
    await make_table(database_url)
    async with killing("tests.faults.killed_replays", seed=seed) as killer:
        rounds = 0
        while killer.kills < KILLS:
            await killer.work("fail_all", most=0, database=database_url)
            assert (await rows(database_url)).total() == NUMBERS * rounds + NUMBERS // 3
            await killer.work("replay_all", most=MOST, database=database_url)
            rounds += 1
            assert await rows(database_url) == Counter(list(range(NUMBERS)) * rounds)
    store = await open_store(with_driver(database_url))
    try:
        letters = await store.dead_letters(limit=NUMBERS * rounds)
        assert [one.state for one in letters] == ["replayed"] * (NUMBERS * 2 // 3 * rounds)
        assert await store.live() == []
    finally:
        await store.close()
