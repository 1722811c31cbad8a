"""A channel against the plainest model of one: a list."""

import asyncio

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from piko_flow.dataflow.plan.plan_options import Capacity
from piko_flow.dataflow.running.channel import Channel

ITEMS, SIZE = 5, 12


class ChannelMachine(RuleBasedStateMachine):
    """Senders and a receiver begin, are cancelled, or let run, in any order; the items are their own weights."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.channel: Channel[tuple[int, int]] = Channel(
            Capacity(items=ITEMS, size=SIZE, weigh=lambda item: float(item[1]))
        )
        self.numbers = 0
        self.senders: list[tuple[asyncio.Task[None], list[tuple[int, int]]]] = []
        self.receiver: asyncio.Task[list[tuple[int, int]]] | None = None
        self.taken: list[tuple[int, int]] = []

    def teardown(self) -> None:
        for task in [sender for sender, _ in self.senders] + [self.receiver]:
            if task is not None and not task.done():
                task.cancel()
        self.turn(3)
        self.loop.close()

    def turn(self, count: int) -> None:
        async def some() -> None:
            for _ in range(count):
                await asyncio.sleep(0)

        self.loop.run_until_complete(some())

    def numbered(self, weights: list[int]) -> list[tuple[int, int]]:
        chunk = [(self.numbers + place, weight) for place, weight in enumerate(weights)]
        self.numbers += len(chunk)
        return chunk

    @precondition(lambda self: not self.channel.closed)
    @rule(weights=st.lists(st.integers(0, 15), min_size=1, max_size=8))
    def send(self, weights: list[int]) -> None:
        chunk = self.numbered(weights)
        self.senders.append((self.loop.create_task(self.channel.send(list(chunk))), chunk))

    @precondition(lambda self: not self.channel.closed)
    @rule(weight=st.integers(0, 15))
    def offer(self, weight: int) -> None:
        (item,) = self.numbered([weight])
        room = not self.channel.full
        assert self.channel.offer(item) == room
        if room:
            self.senders.append((self.loop.create_task(asyncio.sleep(0)), [item]))

    @precondition(lambda self: self.receiver is None)
    @rule(limit=st.integers(1, 7))
    def receive(self, limit: int) -> None:
        self.receiver = self.loop.create_task(self.channel.receive(limit))

    @precondition(lambda self: self.receiver is None and self.channel.count)
    @rule(limit=st.integers(1, 7))
    def take(self, limit: int) -> None:
        self.taken += self.channel.take(limit)

    @precondition(lambda self: self.receiver is not None)
    @rule()
    def cancel_receiver(self) -> None:
        assert self.receiver is not None
        if not self.receiver.done():
            self.receiver.cancel()
            self.turn(1)
            if self.receiver.cancelled():
                self.receiver = None

    @precondition(lambda self: self.senders)
    @rule(pick=st.integers(0, 100))
    def cancel_sender(self, pick: int) -> None:
        task, _ = self.senders[pick % len(self.senders)]
        task.cancel()

    @precondition(lambda self: not self.channel.closed and all(task.done() for task, _ in self.senders))
    @rule()
    def close(self) -> None:
        self.channel.close()

    @rule(count=st.integers(1, 6))
    def let_run(self, count: int) -> None:
        self.turn(count)
        if self.receiver is not None and self.receiver.done():
            self.taken += self.receiver.result()
            self.receiver = None

    @invariant()
    def nobody_fails(self) -> None:
        for task, _ in self.senders:
            assert not task.done() or task.cancelled() or task.exception() is None

    @precondition(lambda self: self.receiver is None and self.channel.count)
    @rule(limit=st.integers(1, 7))
    def take_everything(self, limit: int) -> None:
        """What is inside is what can be taken before anybody else has a turn; it weighs no more than the bound allows."""
        inside, held = self.channel.count, list[tuple[int, int]]()
        while self.channel.count:
            held += self.channel.take(limit)
        assert len(held) == inside
        assert sum(weight for _, weight in held[:-1]) < SIZE or len(held) <= 1
        self.taken += held

    @invariant()
    def is_bounded(self) -> None:
        assert self.channel.count <= ITEMS
        assert self.channel.sent == self.channel.received + self.channel.count

    @invariant()
    def keeps_each_sender_s_order_and_doubles_nothing(self) -> None:
        assert len(self.taken) == len(set(self.taken))
        for _, chunk in self.senders:
            numbers = [item for item in self.taken if item in chunk]
            assert numbers == chunk[: len(numbers)]

    @rule()
    def a_waiting_side_has_a_reason(self) -> None:
        """When nothing is about to run any more, whoever waits waits for the other side."""
        self.turn(12)
        if self.receiver is not None and not self.receiver.done():
            assert self.channel.count == 0
            assert not self.channel.closed
        if any(not task.done() for task, _ in self.senders):
            assert self.channel.full


TestChannelModel = ChannelMachine.TestCase
