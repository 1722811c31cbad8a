"""An application that serves the console, in a thread of its own, brought into every state that it shows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from piko_flow import Flow, Registry
from piko_flow.clock import now
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.ops_records import Role
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import RunRecord
from tests.browser.console_flows import HTML, console_flows
from tests.system.doors import Served, served
from tests.system.running_app import eventually

T = TypeVar("T")
WITHIN = 120.0  # seconds that anything may take


@dataclass
class Scene:
    """The application as a test sees it from its own thread."""

    loop: asyncio.AbstractEventLoop
    place: Served
    runs: dict[str, int] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where it answers."""
        return self.place.address

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine gives, which runs on the application's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WITHIN)

    def ask(self, work: Callable[[ControlPlane], Awaitable[T]]) -> T:
        """What the control plane answers."""
        return self.do(self.place.world.app.ask(work))

    def link(self, role: Role) -> str:
        """An address that logs a browser in, once."""
        return self.address + self.do(self.place.link(role))

    def trigger(self, flow: str) -> int:
        """Queue a run of the flow; gives its number."""
        return self.ask(lambda plane: plane.trigger(flow)).id

    def wait_run(self, number: int, *statuses: RunStatus) -> RunRecord:
        """The run as soon as it is in one of these states."""

        async def there() -> RunRecord | None:
            found = await self.place.world.app.ask(lambda plane: plane.store.run(number))
            return found if found is not None and found.status in statuses else None

        found = self.do(eventually(there))
        assert found is not None
        return found

    def wait_log(self, number: int) -> None:
        """Return when lines of the run have been kept."""

        async def kept() -> bool:
            return bool(await self.place.world.app.ask(lambda plane: plane.store.log(number)))

        self.do(eventually(kept))

    def newest(self, flow: str) -> RunRecord:
        """The newest run of a flow."""
        found = self.ask(lambda plane: plane.store.runs(RunFilter(flow=flow, limit=1)))
        return found[0]


@contextmanager
def console_scene(folder: Path, registry: Registry[Flow] | None = None, **settings: Any) -> Iterator[Scene]:
    """The application with flows in all states, until the end of the block."""
    ready: list[Scene | BaseException] = []
    begun, over = threading.Event(), threading.Event()

    async def work() -> None:
        options = {"poll_interval_s": 1, "poll_s": 0.2, "drain_s": 1, **settings}
        flows = console_flows() if registry is None else registry
        async with served(folder, registry=flows, **options) as place:
            ready.append(Scene(asyncio.get_running_loop(), place))
            begun.set()
            await asyncio.to_thread(over.wait)

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:
            ready.append(error)
            raise
        finally:
            begun.set()

    thread = threading.Thread(target=run, name="console scene")
    thread.start()
    try:
        assert begun.wait(WITHIN)
        found = ready[0]
        assert isinstance(found, Scene), found
        yield found
    finally:
        over.set()
        thread.join(WITHIN)


def bring_into_all_states(scene: Scene) -> None:
    """Runs that succeeded, failed, run and wait; windows done, failed, skipped and missing; letters, a backfill."""

    async def led() -> bool:
        leader = await scene.place.world.app.ask(lambda plane: plane.leader())
        return leader.leads and bool(await scene.place.world.app.ask(lambda plane: plane.store.schedules()))

    scene.do(eventually(led))
    for flow in ("failing", "check_orders", "stream_orders", HTML):
        scene.runs[flow] = scene.trigger(flow)
    scene.ask(lambda plane: plane.pause("paused_flow", by="a person"))
    scene.place.world.sql(
        "UPDATE scheduled_job SET schedule_expr='{\"cron\": \"61 * * * *\"}', schedule_type='cron' WHERE job_id='refused_row'"
    )
    scene.wait_run(scene.runs["failing"], RunStatus.FAILED)
    scene.wait_run(scene.runs["check_orders"], RunStatus.SUCCESS, RunStatus.FAILED)
    scene.wait_run(scene.runs["stream_orders"], RunStatus.RUNNING)
    scene.do(eventually(lambda: _caught_up(scene)))


async def _caught_up(scene: Scene) -> bool:
    """Whether the flow over windows has dealt with all that are due."""
    state = (await scene.place.world.app.ask(lambda plane: plane.store.states(["sync_orders"])))[
        "sync_orders"
    ]
    until = state.planned_until
    return until is not None and now() - until < timedelta(hours=1, minutes=1) and not state.live
