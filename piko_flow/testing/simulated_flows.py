"""The flows of a seeded world, and how its replicas are set."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.options import ReplicaOptions
from piko_flow.planning.cron import Cron
from piko_flow.planning.interval import Interval
from piko_flow.planning.window import BackfillPolicy
from piko_flow.retry import Retry

CATCH_UP, SKIP, NONE = BackfillPolicy.CATCH_UP, BackfillPolicy.SKIP, BackfillPolicy.NONE
GRACE = 300.0  # seconds
SOME = 4

# A poll in half a minute and a lease of three: about the proportions of the defaults, in a thirtieth of the steps.
UNHURRIED = ReplicaOptions(
    lease=timedelta(minutes=3),
    renew_every=timedelta(minutes=1),
    alive=timedelta(minutes=4),
    poll_every=timedelta(seconds=30),
    reconcile_every=timedelta(minutes=4),
    reconcile_jitter=timedelta(0),
    drain=timedelta(minutes=2),
    slots=6,
    pause_after=8,
    group_limits={"narrow": 1},
)


async def nothing(run: RunContext[Any]) -> None:
    """What the flows of a seeded world do: their runs are drawn, not executed."""


def some_flows(draws: random.Random) -> Registry[Flow]:
    """Some of the flows of all kinds: a small world is a quick one, and each seed has others."""
    registry = flows_of_all_kinds()
    kept = set(draws.sample(list(registry), SOME))
    if "after" in kept:
        kept.add("catch-up")
    for name in set(registry) - kept:
        registry.remove(name)
    return registry


def flows_of_all_kinds() -> Registry[Flow]:
    """Flows with windows under every policy, flows without, with retries, groups and a flow that waits for another."""
    registry: Registry[Flow] = Registry()
    windows: dict[str, Any] = {"stateful": True, "registry": registry}
    Flow.register(
        "catch-up", nothing, schedule=Interval(minutes=10), backfill=CATCH_UP, retry=Retry(3, 5.0), **windows
    )
    Flow.register(
        "after", nothing, schedule=Interval(minutes=20), backfill=CATCH_UP, after="catch-up", **windows
    )
    Flow.register(
        "strict", nothing, schedule=Cron("*/15 * * * *"), backfill=CATCH_UP, strict_order=True,
        concurrency_group="narrow", retry=Retry(2, 60.0), **windows,
    )  # fmt: skip
    Flow.register("newest", nothing, schedule=Interval(minutes=7), backfill=SKIP, max_instances=2, **windows)
    Flow.register(
        "recent", nothing, schedule=Interval(minutes=9), backfill=NONE, misfire_grace=GRACE, **windows
    )
    Flow.register("joined", nothing, schedule=Interval(minutes=5), registry=registry)
    Flow.register(
        "each", nothing, schedule=Interval(minutes=6), coalesce=False, max_instances=3, misfire_grace=GRACE,
        concurrency_group="narrow", registry=registry,
    )  # fmt: skip
    Flow.register("hourly", nothing, schedule=Cron("30 * * * *"), retry=Retry(3, 30.0), registry=registry)
    return registry
