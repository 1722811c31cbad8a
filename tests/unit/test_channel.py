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


async def test_items_leave_in_the_order_they_came_across_chunks() -> None:
    pipe = channel(100)
    for chunk in ([1], [2, 3], list(range(4, 40)), [40]):
        await pipe.send(chunk)
    taken = []
    while pipe.count:
        taken += await pipe.receive(7)
    assert taken == list(range(1, 41))


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


async def test_an_offer_is_refused_when_full() -> None:
    pipe = channel(1)
    assert pipe.offer(1)
    assert not pipe.offer(2)
    assert (pipe.count, pipe.sent) == (1, 1)


async def test_a_closed_channel_gives_what_it_holds_then_an_empty_list() -> None:
    pipe = channel(5)
    await pipe.send([1])
    pipe.close()
    assert await pipe.receive(5) == [1]
    assert await pipe.receive(5) == []


async def test_closing_wakes_a_waiting_receiver() -> None:
    pipe = channel(5)
    receiving = asyncio.create_task(pipe.receive(5))
    await turns(2)
    pipe.close()
    assert await receiving == []


async def test_a_cancelled_receive_takes_nothing() -> None:
    pipe = channel(5)
    receiving = asyncio.create_task(pipe.receive(5))
    await turns(2)
    pipe.offer(1)  # wakes the receiver, which is cancelled before it runs
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert (pipe.count, pipe.received) == (1, 0)
    assert await pipe.receive(5) == [1]


async def test_a_cancelled_send_leaves_what_was_put_in() -> None:
    pipe = channel(2)
    sending = asyncio.create_task(pipe.send([1, 2, 3]))
    await turns(2)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert await pipe.receive(5) == [1, 2]
    assert (pipe.count, pipe.sent, pipe.received) == (0, 2, 2)


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


async def test_all_waiting_senders_get_in_when_much_room_comes_at_once() -> None:
    pipe = channel(4)
    await pipe.send([0, 0, 0, 0])
    senders = [asyncio.create_task(pipe.send([number])) for number in (1, 2, 3)]
    await turns(2)
    await pipe.receive(4)
    await turns(6)
    assert all(sender.done() for sender in senders)
    assert await pipe.receive(4) == [1, 2, 3]


async def test_weights_bound_what_is_inside() -> None:
    pipe: Channel[int] = Channel(Capacity(items=100, size=10, weigh=float))
    sending = asyncio.create_task(pipe.send([4, 4, 4, 4]))
    await turns(2)
    assert pipe.count == 2 or sum([4] * pipe.count) <= 12
    assert not sending.done()
    got = list(await pipe.receive(100))
    await turns(2)
    got += await pipe.receive(100)
    assert sending.done()
    assert got == [4, 4, 4, 4]


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
