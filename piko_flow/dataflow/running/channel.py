"""The bounded pipe between two operators, and whose turn it is to send where pieces of work are done side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from piko_flow.dataflow.plan.plan_options import Capacity

T = TypeVar("T")
SMALL = 16  # chunks up to this size are joined to the one before, larger ones travel as they are


class Channel(Generic[T]):
    """Items on their way from one operator to the next, in order, at most `capacity` of them.

    Items travel in chunks (lists that nobody may change once sent). Any number of tasks of the sending
    operator may send, one task receives. `sent`, `received` and `count` (inside now) are in items.

    Who sends items one by one may append to `tail` while it is shorter than `tail_limit`: there is room then, and
    the receiver knows already. Otherwise `offer` does what else there is to do.
    """

    def __init__(self, capacity: Capacity) -> None:
        self._items, self._size, self._weigh = capacity.items, capacity.size, capacity.weigh
        self._chunks: deque[list[T]] = deque()
        self._offset = 0  # how much of the first chunk has been received
        self._inside = 0  # items in the chunks
        self.tail: list[T] = []  # the chunk that single items join, behind the others
        self.tail_limit = 0 if self._weigh is not None else self._items
        self._weight = 0.0
        self._senders: deque[asyncio.Future[None]] = deque()
        self._receiver: asyncio.Future[None] | None = None
        self.received = 0
        self.closed = False

    @property
    def count(self) -> int:
        """How many items are inside."""
        return self._inside + len(self.tail)

    @property
    def sent(self) -> int:
        """How many items were put in so far."""
        return self.received + self._inside + len(self.tail)

    @property
    def full(self) -> bool:
        """Whether a sender has to wait."""
        return self.count >= self._items or (self._size is not None and self._weight >= self._size)

    def offer(self, item: T) -> bool:
        """Put one item in if there is room; False, and nothing done, if there is none."""
        if len(self.tail) >= self.tail_limit:  # for most items nothing else is looked at
            if self.full:
                return False
            if self._weigh is not None:
                self._weight += self._weigh(item)
            self._wake_receiver()
        self.tail.append(item)
        return True

    async def send(self, chunk: list[T]) -> None:
        """Wait for room and put the items in, in order, in as many pieces as the room allows.

        Cancelling leaves in what was already put in and nothing of the rest.
        """
        while chunk:
            if self.full:
                await self.room()
            free = self._items - self.count
            if self._weigh is not None:
                free = min(free, self._fitting(chunk))
            piece, chunk = (chunk, []) if len(chunk) <= free else (chunk[:free], chunk[free:])
            self._put(piece)
        if self._senders and not self.full:
            self._wake_sender()

    async def room(self) -> None:
        """Wait until something can be put in. Cancelling changes nothing."""
        while self.full:
            waiter = asyncio.get_running_loop().create_future()
            self._senders.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake_sender()  # hand the wake-up on to one who can use it
                elif waiter in self._senders:  # else a wake-up has passed it over already
                    self._senders.remove(waiter)
                raise

    async def receive(self, limit: int) -> list[T]:
        """Wait for items and take up to `limit` of them, in order; an empty list means closed and empty.

        Cancelling takes nothing.
        """
        await self.filled()
        return self.take(limit) if self.count else []

    async def filled(self) -> None:
        """Wait until there are items to take, or until it is known that none will come. Only one task may wait."""
        while not self.count and not self.closed:
            self._receiver = asyncio.get_running_loop().create_future()
            self.tail_limit = 0  # so that the first item that comes wakes the receiver
            try:
                await self._receiver
            finally:
                self._receiver = None

    def close(self) -> None:
        """Say that nothing more will be sent; what is inside can still be received."""
        self.closed = True
        self._wake_receiver()

    def _put(self, piece: list[T]) -> None:
        if len(piece) <= SMALL:
            self.tail.extend(piece)
        else:
            self._end_tail()
            self._chunks.append(piece)
            self._inside += len(piece)
        if self._weigh is not None:
            self._weight += sum(map(self._weigh, piece))
        self._wake_receiver()

    def take(self, limit: int) -> list[T]:
        """Take up to `limit` of the items that are inside, in order; there must be some."""
        if not self._chunks:
            self._end_tail()
        head = self._chunks[0]
        if self._offset or len(head) > limit:
            taken = head[self._offset : self._offset + limit]
            self._offset += len(taken)
        else:
            taken = head
            self._offset = len(head)
        if self._offset == len(head):
            self._chunks.popleft()
            self._offset = 0
        self._inside -= len(taken)
        self.received += len(taken)
        if self._weigh is None:
            self.tail_limit = self._items - self._inside
        else:
            self._weight = self._weight - sum(map(self._weigh, taken)) if self.count else 0.0
        if self._senders:
            self._wake_sender()
        return taken

    def _end_tail(self) -> None:
        """Make the tail a chunk like the others; it would hold what has left for as long as it grows."""
        if self.tail:
            self._chunks.append(self.tail)
            self._inside += len(self.tail)
            self.tail = []

    def _fitting(self, chunk: list[T]) -> int:
        """How many items from the start of the chunk fit by weight; at least one, since there is some room."""
        weight, weigh, size = self._weight, self._weigh, self._size
        assert weigh is not None
        assert size is not None
        for number, item in enumerate(chunk):
            if weight >= size:
                return max(number, 1)
            weight += weigh(item)
        return len(chunk)

    def _wake_receiver(self) -> None:
        if self._weigh is None:
            self.tail_limit = self._items - self._inside
        receiver, self._receiver = self._receiver, None
        if receiver is not None and not receiver.done():
            receiver.set_result(None)

    def _wake_sender(self) -> None:
        while self._senders:
            waiter = self._senders.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


AnyChannel = Channel[Any]


class InOrder:
    """Turns in the order in which the work began: a piece has the turn when all those before it have ended.

    `send(result)` hands a result on. A piece that ends early does not wait: its result is kept, and handed on by the
    piece whose end makes it its turn. How many are kept is bounded by whoever bounds the pieces in work.
    """

    def __init__(self, send: Callable[[Any], Awaitable[None]]) -> None:
        self.begun = self.turn = 0  # the number of the next piece to begin, and of the one that has the turn
        self.early: dict[int, Any] = {}
        self._send = send
        self._waiting: dict[int, asyncio.Event] = {}

    def begin(self) -> int:
        """Give the number of a piece of work that begins now."""
        self.begun += 1
        return self.begun - 1

    def has(self, number: int) -> bool:
        """Whether all pieces before this one have ended."""
        return self.turn == number

    async def wait(self, number: int) -> None:
        """Return when all pieces before this one have ended."""
        if self.turn != number:
            await self._waiting.setdefault(number, asyncio.Event()).wait()

    async def end(self, number: int, result: Any) -> None:
        """Keep the result until its turn, and hand on every one whose turn has come."""
        self.early[number] = result
        await self.hand_on()

    async def hand_on(self) -> None:
        """Hand on the kept results whose turn has come.

        Only one task does so at a time: while it sends a result, that one is kept no more and its turn has not passed.
        """
        while self.turn in self.early:
            await self._send(self.early.pop(self.turn))
            self.pass_on()

    def pass_on(self) -> None:
        """Pass the turn on to the next piece."""
        self.turn += 1
        if self._waiting and (waiting := self._waiting.pop(self.turn, None)) is not None:
            waiting.set()


class OneByOne:
    """Turns in the order in which they are asked for; what one piece hands on stays together."""

    def __init__(self, send: Callable[[Any], Awaitable[None]]) -> None:
        self._send = send
        self._begun = 0
        self._turn: int | None = None
        self._waiting: deque[tuple[int, asyncio.Event]] = deque()

    def begin(self) -> int:
        """Give the number of a piece of work that begins now."""
        self._begun += 1
        return self._begun - 1

    def has(self, number: int) -> bool:
        """Whether this piece has asked for the turn and got it."""
        return self._turn == number

    async def wait(self, number: int) -> None:
        """Return when this piece has the turn: at once when nobody has, else after those who asked before.

        Who is cancelled may ask again.
        """
        if self._turn is None:
            self._turn = number
        elif self._turn != number:
            place = (number, asyncio.Event())
            self._waiting.append(place)
            try:
                await place[1].wait()
            except asyncio.CancelledError:
                if place in self._waiting:  # else it has the turn already
                    self._waiting.remove(place)
                raise

    async def end(self, number: int, result: Any) -> None:
        """Hand on the last of this piece when it has the turn, then pass the turn on."""
        await self.wait(number)
        await self._send(result)
        self._turn = None
        if self._waiting:
            self._turn, ready = self._waiting.popleft()
            ready.set()
