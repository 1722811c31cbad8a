"""Groups of dead letters are named by the beginnings of their fingerprints."""

from __future__ import annotations

from dataclasses import replace

import pytest

from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.errors import RequestRefused
from piko_flow.testing.store_contract.dead_letters import LETTER
from tests.unit.dead_letter_worlds import World

LETTERS = [replace(LETTER, fingerprint=name * 8) for name in ("abcd", "abce", "abcd")]


@pytest.fixture
async def world() -> World:
    """A world with two groups, of letters 1 and 3 and of letter 2."""
    made = World()
    await made.store.keep_dead_letters(LETTERS)
    return made


async def listed(world: World, group: str, state: str | None = "open") -> list[int]:
    page = await world.plane.dead_letters(group=group, state=state)
    return [one.id for one in page.letters]


async def test_a_group_is_found_by_its_beginning(world: World) -> None:
    assert await listed(world, "abcd") == await listed(world, "abcd" * 8) == [3, 1]
    assert await listed(world, "abcf") == []


async def test_a_group_of_which_no_letter_is_open_is_found(world: World) -> None:
    await world.plane.drop(WhichLetters(group="abcd"))
    assert await listed(world, "abcd") == []
    assert await listed(world, "abcd", "dropped") == await listed(world, "abcd", None) == [3, 1]


async def test_where_two_groups_begin_so_neither_is_taken(world: World) -> None:
    await world.store.keep_dead_letters([replace(LETTER, fingerprint="abcd1" + "0" * 27)])
    for asked in (listed(world, "abcd"), world.plane.drop(WhichLetters(group="abcd"))):
        with pytest.raises(RequestRefused, match="one group begins so; 2 do"):
            await asked
    assert len(await world.letters()) == 4


async def test_a_short_beginning_is_refused_before_the_store_is_asked(world: World) -> None:
    before = world.store.statements
    for group in ("", "abc"):
        with pytest.raises(RequestRefused, match="at least 4 characters name a group"):
            await listed(world, group)
    assert world.store.statements == before


@pytest.mark.parametrize(
    ("which", "told"),
    [
        (WhichLetters(group="nope"), "of group 'nope' there is none"),
        (WhichLetters(flow="typo"), "of flow 'typo' there is none"),
        (WhichLetters(group="abcd", flow="typo"), "of group 'abcd' of flow 'typo' there is none"),
        (WhichLetters((9,)), "there is no dead letter 9"),
    ],
)
async def test_what_was_asked_for_and_is_not_there_is_named(
    world: World, which: WhichLetters, told: str
) -> None:
    for ask in (world.plane.drop, world.plane.replay):
        with pytest.raises(RequestRefused, match=told) as refused:
            await ask(which)
        assert "None" not in str(refused.value)
