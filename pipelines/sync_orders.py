"""A copy that misses no hour: each run covers one window of time, and what was missed is caught up.

The shop of this example is a function of time: it sells one thing every seven minutes. Each window becomes a file
of its own, so that running a window again replaces what it wrote before.

    piko-flow serve pipelines
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from pydantic import AwareDatetime, BaseModel

from piko_flow import BackfillPolicy, Cron, Flow, Pipeline, RunContext, Sink, Source, Window
from piko_flow.connectors.files import JsonLinesSink
from pipelines.output import output_folder

EVERY: Final = timedelta(minutes=7)
OPENED: Final = datetime(2020, 1, 1, tzinfo=UTC)


class Order(BaseModel):
    """One order: its number, when it changed last, and the sum in cents."""

    number: int
    changed_at: AwareDatetime
    cents: int


def changed_orders(window: Window) -> Iterator[Order]:
    """Give the orders that changed from the window's start on and before its end, in order of time."""
    number = max(-((OPENED - window.start) // EVERY), 0)
    while (at := OPENED + number * EVERY) < window.end:
        if at >= window.start:
            yield Order(number=number, changed_at=at, cents=499 + 37 * number % 9_500)
        number += 1


@Flow.register("sync_orders", schedule=Cron("0 * * * *"), stateful=True, backfill=BackfillPolicy.CATCH_UP)
def sync_orders(run: RunContext) -> Pipeline:
    """Copy the orders that changed within the window into a file named for it."""
    name = f"orders-{run.window.start:%Y%m%dT%H%M%S}.jsonl"
    return Source(partial(changed_orders, run.window)) >> Sink(
        JsonLinesSink(output_folder() / "sync_orders" / name), batch=500
    )
