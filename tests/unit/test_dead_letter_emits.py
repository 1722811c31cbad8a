"""Items that were emitted to a registered sink and failed there are dead letters, replayed to that sink."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from piko_flow import ItemRejected, Retry, Sink, Transform
from piko_flow.connectors.spool import Spool
from piko_flow.control.flows.run_context import Emitted, RunContext
from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.control.runs.emitting import Emissions, LettersNotKept, Writer
from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.records import DeadLetterRecord, ParamsVersion
from tests.unit.dead_letter_worlds import World


class Order(BaseModel):
    number: int
    card: str = ""


class Params(BaseModel):
    region: str


class Shop:
    """A sink that refuses the numbers in `refused` for good."""

    def __init__(self) -> None:
        self.refused, self.taken = {2}, list[Any]()

    def take(self, item: Any) -> None:
        order = item.payload if isinstance(item, Emitted) else item
        if order.number in self.refused:
            raise ValueError(f"refused {order.number} of card {order.card}")
        self.taken.append(item)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def world(shop: Shop) -> AsyncIterator[World]:
    world, writer = World(), Writer()
    writer.register("shop", Sink(shop.take, on_error="dead_letter", name="take"))
    writer.register("whole", Sink(shop.take, on_error="dead_letter", name="take"), whole=True)
    writer.register(
        "doubled", Transform(doubled, name="double") >> Sink(shop.take, on_error="dead_letter", name="take")
    )
    writer.keep = world.store.keep_dead_letters
    world.with_tools(writer=writer)
    async with writer:
        yield world


def doubled(order: Order) -> Order:
    return Order(number=order.number * 2)


def emitting(world: World, to: str, **options: Any) -> Any:
    async def job(run: RunContext[Any]) -> None:
        for number in (1, 2, 3):
            await run.emit(Order(number=number, card="4111-1111"), to=to, key=f"order {number}")

    return world.register(job, **options)


async def test_what_a_sink_refuses_is_a_letter_of_the_run_that_emitted_it(world: World, shop: Shop) -> None:
    outcome = await world.run(emitting(world, "shop"))
    assert outcome.status is RunStatus.SUCCESS
    [letter] = await world.letters()
    assert (letter.flow, letter.run, letter.sink, letter.item_key) == ("orders", 1, "shop", "order 2")
    assert letter.model.endswith(".Order")
    assert [order.number for order in shop.taken] == [1, 3]


@pytest.mark.parametrize("to", ["shop", "whole"])
async def test_it_is_replayed_to_that_sink(world: World, shop: Shop, to: str) -> None:
    await world.run(emitting(world, to))
    assert (await world.replay(1)).error_msg == "1 of 1 dead letter failed again"
    shop.refused = set()
    await world.replay(1)
    last = shop.taken[-1]
    if to == "whole":
        assert (last.key, last.flow, last.run, last.to) == ("order 2", "orders", 1, "whole")
        last = last.payload
    assert last == Order(number=2, card="4111-1111")
    assert [one.attempt for one in await world.letters("replayed")] == [2]


async def test_stages_before_the_sink_are_not_run_again(world: World, shop: Shop) -> None:
    await world.run(emitting(world, "doubled"))
    [letter] = await world.letters()
    assert (letter.stage, letter.run) == ("take", 1)
    shop.refused = set()
    await world.replay(1)
    assert [order.number for order in shop.taken] == [4, 6, 2]


async def test_a_flow_that_needs_parameters_is_replayed_with_those_in_force(world: World, shop: Shop) -> None:
    await world.store.set_config("orders", '{"region": "eu"}', schema_version=1, effective_from=None)
    [record] = await world.store.configs()
    [version] = await world.store.keep_params([ParamsVersion("orders", record.text)])
    flow = emitting(world, "shop", params=Params)
    await world.run(flow, params='{"region": "eu"}')
    shop.refused = set()
    [run] = (await world.plane.replay(WhichLetters((1,)))).runs
    assert run.params_version == version.id


async def test_a_sink_that_is_gone_leaves_the_letter_open(world: World) -> None:
    await world.run(emitting(world, "shop"))
    world.with_tools(writer=Writer())
    outcome = await world.replay(1)
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, "RequestRefused")
    assert "no sink is registered as 'shop'" in outcome.error_msg
    assert len(await world.letters()) == 1


async def test_what_was_emitted_outside_of_a_run_is_kept_and_not_replayed(world: World) -> None:
    emissions, writer = Emissions(), world.tools.writer
    assert writer is not None
    await writer.emit(Emitted(Order(number=2), "shop"), emissions)
    await emissions.flush()
    [letter] = await world.letters()
    assert (letter.flow, letter.run) == ("", 0)
    with pytest.raises(RequestRefused, match="it was emitted to 'shop' outside of any run"):
        await world.plane.replay(WhichLetters((1,)))


async def test_fields_that_the_flow_redacts_are_not_kept(world: World) -> None:
    await world.run(emitting(world, "shop", redact=["Card"]))
    [letter] = await world.letters()
    assert "4111-1" not in letter.payload + letter.error_msg + letter.trace
    assert '"number":2' in letter.payload


async def test_the_run_fails_where_letters_cannot_be_kept(world: World) -> None:
    assert world.tools.writer is not None
    world.tools.writer.keep = None
    outcome = await world.run(emitting(world, "shop"))
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, LettersNotKept.__name__)


async def test_what_a_spool_refuses_for_good_is_replayed_into_it(
    world: World, shop: Shop, tmp_path: Path
) -> None:
    written, kept = asyncio.Event(), asyncio.Event()

    def take(order: Order) -> None:
        if order.number in shop.refused:
            raise ItemRejected(0, f"refused {order.number}")
        shop.taken.append(order)
        if order.number == 2:
            written.set()

    async def keep(letters: Sequence[DeadLetterRecord]) -> None:
        await world.store.keep_dead_letters(letters)
        kept.set()

    writer = Writer(folder=tmp_path)
    writer.register_spool("orders", Spool(take, retry=Retry(attempts=1)))
    writer.keep = keep
    world.with_tools(writer=writer)
    async with writer:
        await world.run(emitting(world, "orders"))
        async with asyncio.timeout(60):
            await kept.wait()
        [letter] = await world.letters()
        assert (letter.sink, letter.run, letter.item_key) == ("orders", 1, "order 2")
        assert letter.model.endswith(".Order")
        shop.refused = set()
        assert (await world.replay(1)).status is RunStatus.SUCCESS
        async with asyncio.timeout(60):
            await written.wait()
    assert await world.letters() == []
