"""The process whose memory is measured: `python -m tests.benchmarks.memory_process CONTENDER SINK ITEMS SIZE`.

Prints the resident size before the work begins and the largest one during it, in bytes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

PAUSE, EVERY = 0.001, 100  # seconds that the sink waits at each hundredth item


class SlowSink:
    """Counts what comes, far slower than it can be made."""

    def __init__(self, way: str) -> None:
        self.count = 0
        self.write: Callable[[bytes], Awaitable[None]] | Callable[[bytes], None]
        self.write = self.blocking if way == "thread" else self.waiting
        self.on_thread = way == "thread"

    async def waiting(self, item: bytes) -> None:
        self.count += 1
        if self.count % EVERY == 0:
            await asyncio.sleep(PAUSE)

    def blocking(self, item: bytes) -> None:
        self.count += 1
        if self.count % EVERY == 0:
            time.sleep(PAUSE)

    async def threaded(self, item: bytes) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.blocking, item)

    @property
    def awaitable(self) -> Callable[[bytes], Awaitable[None]]:
        """The sink for those who can only await."""
        return self.threaded if self.on_thread else self.waiting


class Items:
    """New bytes each time, so that what is held counts."""

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self.count):
            yield number.to_bytes(8, "big") * (self.size // 8)


def main() -> None:
    """Work as the arguments say, between two looks at the memory."""
    contender, way, count, size = sys.argv[1:5]
    sink = SlowSink(way)
    work = CONTENDERS[contender](Items(int(count), int(size)), sink)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    idle = memory("VmRSS")
    work()
    if sink.count != int(count):
        raise AssertionError(f"{sink.count} of {count} items came through")
    print(json.dumps({"idle": idle, "peak": memory("VmHWM")}))


def memory(line: str) -> int:
    """A size in bytes from what the kernel tells of this process."""
    for text in Path("/proc/self/status").read_text().splitlines():
        if text.startswith(f"{line}:"):
            return int(text.split()[1]) * 1024
    raise LookupError(line)


def ours(items: Items, sink: SlowSink) -> Callable[[], object]:
    from piko_flow import Sink, Source, run_sync
    from tests.benchmarks.recorder import Recorder

    end: Sink[bytes] = Sink(sink.write, on="thread") if sink.on_thread else Sink(sink.write)
    pipeline = Source(items) >> end
    return lambda: run_sync(pipeline, observer=Recorder())


def plain(items: Items, sink: SlowSink) -> Callable[[], object]:
    async def produce(channel: asyncio.Queue[bytes | None]) -> None:
        for item in items:
            await channel.put(item)
        await channel.put(None)

    async def work() -> None:
        channel: asyncio.Queue[bytes | None] = asyncio.Queue(1024)
        async with asyncio.TaskGroup() as group:
            group.create_task(produce(channel))
            while (item := await channel.get()) is not None:
                await sink.awaitable(item)

    return lambda: asyncio.run(work())


def streamable(items: Items, sink: SlowSink) -> Callable[[], object]:
    from streamable import stream

    async def work() -> None:
        await stream(items).do(sink.awaitable)

    return lambda: asyncio.run(work())


def aiostream(items: Items, sink: SlowSink) -> Callable[[], object]:
    from aiostream import pipe
    from aiostream import stream as astream

    async def work() -> None:
        await (astream.iterate(items) | pipe.action(sink.awaitable))

    return lambda: asyncio.run(work())


CONTENDERS = {"ours": ours, "plain": plain, "streamable": streamable, "aiostream": aiostream}

if __name__ == "__main__":
    main()
