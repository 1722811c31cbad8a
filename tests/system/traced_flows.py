"""Functions that user code of a traced flow consists of; workers import them from here."""

import logging

from opentelemetry import trace

tracer = trace.get_tracer("tests.user")  # kept in a global, as OpenTelemetry's manuals have it


def halved(item: int) -> float:
    with tracer.start_as_current_span("halve"):
        return item / 2


def doubled(item: int) -> int:
    with tracer.start_as_current_span("double"):
        return item * 2


async def waited(item: int) -> int:
    with tracer.start_as_current_span("wait"):
        return item


def put(item: object) -> None:
    """A sink."""


def logs_in_a_worker(item: int) -> int:
    if item == 3:
        logging.getLogger("some.library").warning("item %d in a worker", item)
    return item
