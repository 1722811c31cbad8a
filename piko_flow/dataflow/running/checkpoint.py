"""Where busy operators give way: to the other tasks of the event loop, and to the other threads of the process."""

from __future__ import annotations

import asyncio
import threading
import time

from piko_flow.clock import monotonic

HELD = 0.004  # seconds an operator may hold the loop
THREADS = 0.02  # seconds that the loop may be busy before the other threads get a turn
TURN = 0.00005  # seconds of sleep, long enough for a waiting thread to wake up


async def checkpoint(since: float) -> float:
    """Let others run if the loop was held for more than a few milliseconds; gives the time held from then on.

    A loop that is always busy keeps other threads from running: it gives the interpreter's lock up at every look at
    its sockets and has it back before any of them is awake, so none waits long enough to ask for it. Therefore the
    loop sleeps for a moment, rarely.
    """
    if monotonic() - since <= HELD:
        return since
    await asyncio.sleep(0)
    _give_threads_a_turn()
    return monotonic()


_last_turn = 0.0


def _give_threads_a_turn() -> None:
    global _last_turn
    if monotonic() - _last_turn > THREADS and threading.active_count() > 1:
        time.sleep(TURN)
        _last_turn = monotonic()
