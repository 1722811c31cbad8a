"""A fast producer and slow consumers: the channel between them is bounded, so the producer waits.

What waits between the two is bounded by `capacity` (and the list that the producer has in hand), however long the
input is; the report names the consumers as the bottleneck and says how long the producer was blocked.

    piko-flow run pipelines.producer_consumer:pipeline
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from piko_flow import Flow, Fold, Pipeline, Sink, Source, Transform

CAPACITY: Final = 200
CONSUMERS: Final = 20


def numbers() -> Iterable[int]:
    """Give numbers as fast as they are taken."""
    return iter(range(5000))


async def consume(number: int) -> int:
    """Stand for a call that takes its time: several turns of the event loop."""
    for _ in range(5):
        await asyncio.sleep(0)
    return number


def count(so_far: int, number: int) -> int:
    """Count one number more."""
    return so_far + 1


def tell(total: int) -> None:
    """Say how many numbers were consumed."""
    print(f"consumed {total:,}")


def producer_consumer(
    produce: Callable[[], Iterable[int]] = numbers, consume: Callable[[int], Awaitable[int]] = consume
) -> Pipeline:
    """Give the pipeline in which one function consumes what the other produces."""
    return (
        Source(produce)
        >> Transform(consume, concurrency=CONSUMERS, ordered=False)
        >> Fold(count, start=int)
        >> Sink(tell)
    )


pipeline = producer_consumer()
Flow.register("producer_consumer", pipeline, capacity=CAPACITY, tags=["example"])
