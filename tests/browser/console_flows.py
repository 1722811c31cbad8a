"""Flows in every state that the console shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from piko_flow import Cron, Flow, Interval, Registry, RunContext, Sink, Source, Transform
from piko_flow.clock import now
from piko_flow.dataflow.stages.stage import Pipeline
from piko_flow.planning.window import BackfillPolicy

HTML = "<img src=x onerror=alert(1)>"
"""A name, and a text, that is harmless only as long as it is escaped."""


class OrderParams(BaseModel):
    """What `sync_orders` is told."""

    region: Literal["eu", "us", "apac"] = Field("eu", description="Whose orders are copied")
    limit: int = Field(100, ge=1, le=10_000, description="How many at once")
    strict: bool = False
    since: datetime | None = None
    labels: list[str] = []
    api_token: SecretStr = SecretStr("a token that nobody may see")


class Order(BaseModel):
    """An order."""

    number: int
    customer: str = "somebody"


class Gates:
    """What tests hold flows with: the live pipeline goes on while its gate is open."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()


async def orders_of(count: int) -> AsyncIterator[Order]:
    """So many orders."""
    for number in range(count):
        yield Order(number=number)
        if number % 50 == 0:
            await asyncio.sleep(0)


async def endless() -> AsyncIterator[Order]:
    """Orders without an end."""
    number = 0
    while True:
        number += 1
        yield Order(number=number)


async def priced(order: Order) -> Order:
    """The order, a little later."""
    await asyncio.sleep(0.001)
    return order


async def slowly(order: Order) -> None:
    """Take an order in, which takes its time."""
    await asyncio.sleep(0.02)


async def checked(order: Order) -> Order:
    """The order, unless it is one of those that cannot be used."""
    if order.number % 25 == 7:
        raise ValueError(f"order {order.number} of {HTML} has no price")
    return order


class Kept:
    """Takes orders in."""

    async def write(self, orders: Sequence[Order], /) -> None:
        """Take some."""


def console_flows() -> Registry[Flow]:
    """The flows, in a registry of their own."""
    flows: Registry[Flow] = Registry()
    _with_windows(flows)
    _without(flows)
    return flows


def _with_windows(flows: Registry[Flow]) -> None:
    hourly = Cron("0 * * * *", zone="Europe/Berlin")

    @Flow.register(
        "sync_orders",
        registry=flows,
        params=OrderParams,
        stateful=True,
        backfill=BackfillPolicy.CATCH_UP,
        schedule=hourly,
        max_lookback_window=100,
        begin=now() - timedelta(days=6),
        tags=("shop",),
    )
    def sync_orders(run: RunContext[OrderParams]) -> Pipeline:
        """Copy the orders that changed in the window."""
        run.logger.info("copying %s of %s", run.params.limit, run.params.region)
        if run.window is not None and run.window.start.hour == 5:
            raise ConnectionError(f"the shop of {HTML} does not answer")
        many = Source(lambda: orders_of(run.params.limit), name="changed_orders")
        return many >> Transform(priced, concurrency=8) >> Sink(Kept(), batch=20, name="shop")

    @Flow.register(
        "daily_report", registry=flows, stateful=True, schedule=Cron("0 3 * * *"), after="sync_orders"
    )
    async def daily_report(run: RunContext) -> None:
        """Sum up a day."""


def _without(flows: Registry[Flow]) -> None:
    @Flow.register("tick", registry=flows, schedule=Interval(seconds=2))
    async def tick(run: RunContext) -> None:
        """Note that time goes on."""
        run.logger.info("tick %s", run.id)
        run.logger.warning("a line with %s", HTML)

    @Flow.register("failing", registry=flows, schedule=Interval(hours=6))
    async def failing(run: RunContext) -> None:
        """Fail each time."""
        run.logger.error("about to fail")
        raise RuntimeError(f"the answer was {HTML}")

    @Flow.register("stream_orders", registry=flows)
    def stream_orders(run: RunContext) -> Pipeline:
        """Copy orders as they come; its sink is slower than its source."""
        return Source(endless, name="orders") >> Transform(priced, concurrency=16) >> Sink(slowly)

    @Flow.register("check_orders", registry=flows)
    def check_orders(run: RunContext) -> Pipeline:
        """Check orders, of which some cannot be used."""
        source = Source(lambda: orders_of(200), name="orders")
        return source >> Transform(checked, on_error="dead_letter") >> Sink(Kept(), batch=50, name="shop")

    @Flow.register("paused_flow", registry=flows, schedule=Interval(minutes=5, start_date="2030-01-01"))
    async def paused_flow(run: RunContext) -> None:
        """Wait to be resumed."""

    @Flow.register("refused_row", registry=flows, schedule=Interval(hours=1))
    async def refused_row(run: RunContext) -> None:
        """Have a row that somebody has broken."""

    @Flow.register(HTML, registry=flows, schedule=Interval(days=1))
    async def with_html(run: RunContext) -> None:
        """Have a name that must be escaped."""

    @Flow.register("unscheduled", registry=flows, timeout=timedelta(minutes=5).total_seconds())
    async def unscheduled(run: RunContext) -> None:
        """Run only when somebody asks."""
