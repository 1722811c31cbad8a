"""Work that copies orders hour by hour into a table, to be killed at any moment and begun again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiosqlite  # noqa: F401  # loaded once, not in each process that is forked
import asyncmy  # noqa: F401
import asyncpg  # noqa: F401

from piko_flow import Broadcast, Flow, Pipeline, Registry, RunContext, Sink, Source
from piko_flow.connectors.sql import SqlSink
from piko_flow.dataflow.stages.sink import Receipt
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.sql import connecting, store  # noqa: F401
from tests.system.sql_runs import HOUR, START, Ledger, ledger_of
from tests.unit.sql_by_hand import Order

ORDERS, UNITS = 1200, 3
"""Of each hour."""


def orders_of(number: int, many: int = ORDERS) -> list[Order]:
    """So many orders of the hour of this number after the start."""
    step = HOUR / many
    return [
        Order(
            id=number * many + each,
            customer=f"customer {each % 97}",
            amount=Decimal(each) / 4,
            placed_at=START + number * HOUR + each * step,
        )
        for each in range(many)
    ]


def copying(options: dict[str, Any], many: int = ORDERS) -> Flow:
    """A flow that writes the orders of its window, so many, through a sink with these options."""

    def build(run: RunContext[Any]) -> Pipeline:
        assert run.window is not None
        orders = orders_of((run.window.start - START) // HOUR, many)

        def part(unit: int) -> Iterator[Order]:
            yield from orders[unit::UNITS]

        sink = SqlSink(Order, table="orders", **options)
        return Source(part, splits=range(UNITS)) >> Sink(sink, batch=100)

    return Flow.register("copy", build, stateful=True, registry=Registry(), timeout=timedelta(minutes=1))


async def copy_hours(ledger: str, first: int, last: int, options: dict[str, Any], many: int = ORDERS) -> None:
    """Copy the hours from the first up to (not with) the last that are not copied yet, with so many orders each."""
    async with ledger_of(ledger, copying(options, many), prepare=False) as opened:
        for number in range(first, last):
            await copy_hour(opened, number)


async def copy_hour(ledger: Ledger, number: int) -> None:
    """Copy one hour, unless it is done."""
    record = await ledger.claimed(number)
    if record.status is RunStatus.RUNNING:
        outcome = await ledger.executed(record)
        assert outcome.status is RunStatus.SUCCESS, outcome.error_msg
        assert await ledger.ended(record, outcome)


class Dying(SqlSink[Order]):
    """Kills its own process right after its commit, once."""

    def __init__(self, death: str, **options: Any) -> None:
        super().__init__(Order, table="orders", **options)
        self._death = Path(death)

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        """Commit, and die if nobody has died of it yet."""
        written = await super().commit(receipts)
        if not self._death.exists():
            self._death.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return written


def to_three_places(death: str, replaced: str, upserted: str) -> Flow:
    """A flow whose orders go to a window that is replaced, by key to another database, and into the ledger's."""

    def build(run: RunContext[Any]) -> Pipeline:
        assert run.window is not None
        orders = orders_of((run.window.start - START) // HOUR)
        return Source(orders) >> Broadcast(
            Sink(
                Dying(death, mode="replace_window", window_column="placed_at", url=replaced),
                batch=100,
                name="replaced",
            ),
            Sink(SqlSink(Order, table="orders", key="id", url=upserted), batch=100, name="upserted"),
            Sink(SqlSink(Order, table="orders", in_memory=300), batch=100, name="ledger"),
        )

    return Flow.register("copy", build, stateful=True, registry=Registry())


async def copy_to_three_places(ledger: str, hours: int, death: str, replaced: str, upserted: str) -> None:
    """Copy hours to three places; the process dies between the commits of the first and the last one of each hour."""
    for number in range(hours):
        flow = to_three_places(f"{death}-{number}", replaced, upserted)
        async with ledger_of(ledger, flow, prepare=False) as opened:
            await copy_hour(opened, number)
