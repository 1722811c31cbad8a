"""A control plane over a memory store whose clock stands at half past twelve, and what a leader would do there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, SecretStr

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.options import ReplicaOptions
from piko_flow.planning.cron import Cron
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.interval import Interval
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.planning.window import BackfillPolicy, Window
from piko_flow.store.batch import Batch, Decided, Decision, Ending, PlannedFires
from piko_flow.store.memory import MemoryStore
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import NewRun, ReplicaRecord, RunRecord, ScheduleRecord
from piko_flow.testing.manual_clock import ManualClock

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
HOURLY = Cron("0 * * * *")
DAY = timedelta(days=1)
ONE = ReplicaRecord("one", host="host-1", pid=11, slots=4, started_at=NOW - DAY)


class Settings(BaseModel):
    """Parameters of the flow `orders`."""

    region: str = "eu"
    limit: int = 10
    api_token: SecretStr = SecretStr("default token")


async def do_nothing(run: RunContext[Any]) -> None: ...


async def do_as_set(run: RunContext[Settings]) -> None: ...


@dataclass(frozen=True)
class Scene:
    """What a test looks at. `mail` has no state, `orders` has windows of an hour, `report` comes after it."""

    plane: ControlPlane
    store: MemoryStore
    clock: ManualClock
    registry: Registry[Flow]


def scene(**options: Any) -> Scene:
    """A scene without any row; nobody leads."""
    clock, registry = ManualClock(NOW), Registry[Flow]()
    store = MemoryStore(clock)
    Flow.register("mail", do_nothing, schedule=Interval(minutes=10), registry=registry)
    Flow.register(
        "orders",
        do_as_set,
        params=Settings,
        stateful=True,
        backfill=BackfillPolicy.CATCH_UP,
        schedule=HOURLY,
        registry=registry,
    )
    Flow.register("report", do_nothing, stateful=True, after="orders", schedule=HOURLY, registry=registry)
    Flow.register(
        "audit",
        do_nothing,
        stateful=True,
        strict_order=True,
        backfill=BackfillPolicy.CATCH_UP,
        registry=registry,
    )
    Flow.register("idle", do_nothing, registry=registry)
    plane = ControlPlane(store=store, registry=registry, options=ReplicaOptions(**options), clock=clock)
    return Scene(plane, store, clock, registry)


def hour(start: float, hours: float = 1) -> Window:
    """The window of so many hours from this hour of the day on."""
    begin = NOW.replace(hour=0, minute=0) + timedelta(hours=start)
    return Window(begin, begin + timedelta(hours=hours))


def row(flow: str, **columns: Any) -> ScheduleRecord:
    """An hourly schedule row."""
    return ScheduleRecord(flow, "cron", '{"cron": "0 * * * *"}', **columns)


async def lead(scene: Scene, replica: ReplicaRecord = ONE) -> None:
    """Let the replica be alive and lead."""
    await scene.store.beat(replica, ttl=DAY)
    assert await scene.store.acquire("default", holder=replica.id, ttl=DAY) is not None


async def begun(scene: Scene, flow: str, *, since: float, planned: float, **columns: Any) -> None:
    """Let the flow have an hourly row, and windows from one hour on, planned up to another."""
    await scene.store.set_schedule(row(flow, **columns))
    until = hour(planned).start

    def decide(state: FlowState, now: datetime) -> Decided:
        state = replace(
            state,
            origin=hour(since).start,
            planned_until=until,
            schedule=HOURLY.identity,
            written=state.shown,
        )
        return Decided(Change(state))

    await _decided(scene, Decision(flow, decide))


async def planned_fires(scene: Scene, flow: str, until: datetime, **columns: Any) -> None:
    """Let the stateless flow have an hourly row, whose fires up to the instant have become rows."""
    await scene.store.set_schedule(row(flow, **columns))
    planned = PlannedFires(flow, until, HOURLY.identity)
    await scene.store.write(Batch("one", planned=[planned]))


async def queued(scene: Scene, flow: str, window: Window | None = None, **columns: Any) -> RunRecord:
    """A queued run of the flow."""
    at = NOW if window is None else window.end
    values: Mapping[str, Any] = {
        "key": f"{flow} {at} {len(await scene.store.runs(RunFilter(limit=1000)))}",
        **columns,
    }
    new = NewRun(flow, at, window=window, **values)
    if window is None:
        (made,) = (await scene.store.write(Batch("one", queue=[new]))).queued
        assert made is not None
        return made

    def decide(state: FlowState, now: datetime) -> Decided:
        return Decided(Change(state, (window,)), (new,))

    return (await _decided(scene, Decision(flow, decide)))[0]


async def running(scene: Scene, flow: str, window: Window | None = None, **columns: Any) -> RunRecord:
    """A run of the flow that replica one has claimed."""
    run = await queued(scene, flow, window, **columns)
    await scene.store.beat(ONE, ttl=DAY)
    return (await scene.store.write(Batch("one", claim=[run.id]))).claimed[0]


async def ended(
    scene: Scene,
    flow: str,
    window: Window | None = None,
    status: RunStatus = RunStatus.SUCCESS,
    reason: str = "",
    **columns: Any,
) -> RunRecord:
    """A run of the flow that has ended so, with its window settled or failed as it does."""
    run = await running(scene, flow, window)
    marks = {RunStatus.SUCCESS: Mark.DONE, RunStatus.FAILED: Mark.FAILED}
    ending = Ending(
        run.id,
        run.claim,
        flow,
        status,
        reason or (Reason.ERROR if status is RunStatus.FAILED else ""),
        window=window,
        mark=None if window is None else marks.get(status),
        **columns,
    )
    assert not (await scene.store.write(Batch("one", endings=[ending]))).stale
    found = await scene.store.run(run.id)
    assert found is not None
    return found


async def change(scene: Scene, flow: str, rule: Callable[[FlowState], FlowState]) -> None:
    """Let the flow's state be what the rule makes of it."""
    await _decided(scene, Decision(flow, lambda state, now: Decided(Change(rule(state)))))


async def _decided(scene: Scene, decision: Decision) -> list[RunRecord]:
    (result,) = (await scene.store.write(Batch("one", decisions=[decision]))).decided
    assert not isinstance(result, Exception), result
    return result[1]
