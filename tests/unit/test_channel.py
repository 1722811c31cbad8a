"""The bounded pipe: order, room, closing, and what a cancelled send or receive leaves."""

import asyncio
import gc
import weakref

import pytest

from piko_flow.dataflow.plan.plan_options import Capacity
from piko_flow.dataflow.running.channel import Channel
from piko_flow.testing import turns


class Thing:
    """An item that can be watched: a plain object takes no weak reference."""


def channel(items: int) -> Channel[int]:
    return Channel(Capacity(items))


async def test_a_sender_waits_for_room_and_goes_on_in_pieces() -> None:
    pipe = channel(2)
    sending = asyncio.create_task(pipe.send([1, 2, 3, 4, 5]))
    await turns(3)
    assert (pipe.count, sending.done()) == (2, False)
    assert await pipe.receive(10) == [1, 2]
    await turns(3)
    assert await pipe.receive(10) == [3, 4]
    await turns(3)
    assert sending.done()
    assert await pipe.receive(10) == [5]


async def test_a_closed_channel_gives_what_it_holds_then_an_empty_list() -> None:
    pipe = channel(5)
    await pipe.send([1])
    pipe.close()
    assert await pipe.receive(5) == [1]
    assert await pipe.receive(5) == []


async def test_an_item_heavier_than_the_bound_passes_alone() -> None:
    pipe: Channel[int] = Channel(Capacity(items=100, size=10, weigh=float))
    await pipe.send([50])
    assert pipe.full
    assert not pipe.offer(1)
    assert await pipe.receive(5) == [50]
    assert pipe.offer(1)


@pytest.mark.parametrize("chunk", [1, 3, 16])
async def test_what_was_received_is_let_go_of_while_the_channel_never_empties(chunk: int) -> None:
    pipe: Channel[Thing] = Channel(Capacity(64))
    alive: weakref.WeakSet[Thing] = weakref.WeakSet()
    for _ in range(2000):
        while pipe.count < 32:
            things = [Thing() for _ in range(chunk)]
            alive.update(things)
            if chunk == 1:
                assert pipe.offer(things[0])
            else:
                await pipe.send(things)
            del things
        await pipe.receive(1)
    gc.collect()
    assert len(alive) <= 2 * 64 + chunk


async def test_closing_wakes_a_waiting_receiver() -> None:
    pipe = channel(5)
    receiving = asyncio.create_task(pipe.receive(5))
    await turns(2)
    pipe.close()
    assert await receiving == []


async def test_room_given_to_a_cancelled_sender_goes_to_the_next() -> None:
    pipe = channel(1)
    await pipe.send([0])
    first, second = (asyncio.create_task(pipe.send([number])) for number in (1, 2))
    await turns(2)
    assert await pipe.receive(1) == [0]  # the room is promised to the first
    first.cancel()
    await turns(3)
    assert second.done()
    assert await pipe.receive(1) == [2]
    with pytest.raises(asyncio.CancelledError):
        await first
