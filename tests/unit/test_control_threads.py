"""Loops on threads of their own, and what is handed from one to another."""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from piko_flow.control.loop_thread import LoopThread
from piko_flow.control.mailbox import Mailbox
from piko_flow.testing.faults import turns, until

POSTERS, POSTS = 8, 500


async def test_what_many_threads_post_arrives_once_and_in_the_order_of_each() -> None:
    received: list[tuple[int, int]] = []
    threads: set[int] = set()

    def receive(posted: list[tuple[int, int]]) -> None:
        threads.add(threading.get_ident())
        received.extend(posted)

    box = Mailbox(asyncio.get_running_loop(), receive)

    def post(poster: int) -> None:
        for number in range(POSTS):
            box.post((poster, number))

    with ThreadPoolExecutor(POSTERS) as pool:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(pool, post, poster) for poster in range(POSTERS)))
    await until(lambda: len(received) == POSTERS * POSTS)
    for poster in range(POSTERS):
        assert [number for one, number in received if one == poster] == list(range(POSTS))
    assert threads == {threading.get_ident()}


async def test_what_a_run_posts_is_not_received_in_its_name() -> None:
    name: ContextVar[str] = ContextVar("name", default="nobody")
    received: list[str] = []
    box: Mailbox[str] = Mailbox(
        asyncio.get_running_loop(), lambda posted: received.extend(f"{one} by {name.get()}" for one in posted)
    )

    async def one(number: int) -> None:
        name.set(f"run {number}")
        box.post(f"end of run {number}")

    await asyncio.gather(*(asyncio.create_task(one(number)) for number in range(3)))
    await until(lambda: len(received) == 3)
    assert received == [f"end of run {number} by nobody" for number in range(3)]


async def test_many_posts_wake_the_loop_once() -> None:
    received: list[list[int]] = []
    box: Mailbox[int] = Mailbox(asyncio.get_running_loop(), received.append)
    for number in range(100):
        box.post(number)
    await turns(3)
    assert received == [list(range(100))]


async def test_what_is_posted_while_mail_is_received_arrives_too() -> None:
    received: list[int] = []

    def receive(posted: list[int]) -> None:
        received.extend(posted)
        if len(received) < 5:
            box.post(posted[-1] + 1)

    box: Mailbox[int] = Mailbox(asyncio.get_running_loop(), receive)
    box.post(0)
    await until(lambda: len(received) == 5)
    assert received == [0, 1, 2, 3, 4]


async def test_a_receiver_that_raises_loses_only_the_mail_it_was_given() -> None:
    received: list[int] = []
    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(str(context["exception"])))

    def receive(posted: list[int]) -> None:
        if 1 in posted:
            raise ValueError("cannot read it")
        received.extend(posted)

    box: Mailbox[int] = Mailbox(loop, receive)
    for number in (1, 2):
        box.post(number)
        await turns(3)
    assert (received, told) == ([2], ["cannot read it"])


def test_a_post_to_a_loop_that_is_closed_says_so() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    box: Mailbox[int] = Mailbox(loop, lambda posted: None)
    with pytest.raises(RuntimeError, match="closed"):
        box.post(1)


async def where_am_i() -> tuple[int, str]:
    """The thread that this runs on."""
    return threading.get_ident(), threading.current_thread().name


async def test_what_is_called_runs_on_the_threads_own_loop_and_gives_its_result() -> None:
    async with LoopThread("of its own") as thread:
        ident, name = await thread.call(where_am_i)
        assert (ident, name) == (thread.ident, "of its own")
        assert ident != threading.get_ident()


async def test_what_is_raised_there_is_raised_here() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async with LoopThread("failing") as thread:
        with pytest.raises(ValueError, match="no"):
            await thread.call(fail)


async def test_cancelling_a_call_cancels_it_there() -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def for_ever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with LoopThread("waiting") as thread:
        call = asyncio.create_task(thread.call(for_ever))
        await asyncio.to_thread(begun.wait)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(cancelled.wait)


async def test_a_thread_that_is_left_cancels_and_awaits_what_still_runs_on_its_loop() -> None:
    ended: list[str] = []

    async def for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("in order")

    async with LoopThread("left") as thread:
        left: Future[None] = thread.submit(for_ever)
        await thread.call(where_am_i)  # by then the other has begun
    assert ended == ["in order"]
    assert left.cancelled()


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
async def test_what_would_stop_a_loop_ends_the_task_that_raises_it(
    raised: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def leave() -> None:
        raise raised

    async with LoopThread("going on") as thread:
        left = thread.submit(leave)
        assert (await thread.call(where_am_i))[1] == "going on"
        assert isinstance(left.exception(10), raised)
        assert (await thread.call(where_am_i))[1] == "going on"
    assert f"a task on the thread 'going on' raised {raised.__name__}()" in caplog.text


async def test_a_thread_that_is_not_running_has_no_loop_and_says_so() -> None:
    thread = LoopThread("absent")
    with pytest.raises(RuntimeError, match="'absent' is not running"):
        await thread.call(where_am_i)
    async with thread:
        assert thread.loop.is_running()
    with pytest.raises(RuntimeError, match="inside `async with`"):
        _ = thread.loop
    assert thread.ident is None


async def test_from_other_threads_calls_reach_the_loop_and_are_answered() -> None:
    async with LoopThread("asked") as thread:

        def ask() -> int:
            return thread.submit(where_am_i).result()[0]

        asked = await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(10)))
        assert set(asked) == {thread.ident}


async def test_a_thread_may_be_entered_again() -> None:
    thread = LoopThread("twice")
    seen = []
    for _ in range(2):
        async with thread:
            seen.append((await thread.call(where_am_i))[1])
    assert seen == ["twice", "twice"]
