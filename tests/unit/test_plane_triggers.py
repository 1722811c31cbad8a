"""Triggers, retries and cancels: what is queued, what is refused, and that a key makes one run."""

from dataclasses import dataclass

import pytest

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Decision
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import NewRun, RunRecord
from tests.unit.planes import NOW, Scene, begun, ended, hour, queued, running, scene


@dataclass
class Here:
    """A replica in this process that does not lead, and remembers what it was told."""

    looked: int = 0
    cancelled: tuple[int, ...] = ()

    async def queue(self, wanted: NewRun | Decision, /) -> tuple[bool, RunRecord | None]:
        return False, None

    def look_at_rows(self) -> None:
        self.looked += 1

    async def cancel_here(self, run: int, /) -> None:
        self.cancelled += (run,)


async def test_a_flow_without_windows_is_queued_at_once_with_params_over_those_in_force() -> None:
    it = scene()
    await it.plane.set_params("orders", values={"region": "us"})
    run = await it.plane.trigger("mail", by="ada")
    assert (run.status, run.origin, run.requested_by, run.scheduled_time) == (
        RunStatus.QUEUED,
        "trigger",
        "ada",
        NOW,
    )
    await begun(it, "orders", since=10, planned=12)
    triggered = await it.plane.trigger("orders", params={"limit": 3})
    assert triggered.params == '{"limit":3}'
    pinned = await it.store.params_version(triggered.params_version or 0)
    assert pinned is not None
    assert pinned.text == '{"region":"us"}'


async def test_a_flow_with_windows_takes_its_oldest_gap_or_the_one_named() -> None:
    it = scene()
    await begun(it, "orders", since=10, planned=12)
    assert (await it.plane.trigger("orders")).window == hour(10)
    assert (await it.plane.trigger("orders", window=hour(3, 2))).window == hour(3, 2)


async def test_params_that_do_not_fit_and_windows_that_nobody_takes_are_refused_and_nothing_is_queued() -> (
    None
):
    it = scene()
    await begun(it, "orders", since=10, planned=12)
    for wrong in (
        it.plane.trigger("orders", params={"limit": "many"}),
        it.plane.trigger("mail", window=hour(10)),
        it.plane.trigger("mial"),
        it.plane.trigger("orders", window=hour(12)),
        it.plane.trigger("mail", key="k" * 190),
        it.plane.trigger("mail", key="nul\0"),
        it.plane.trigger("audit"),
    ):
        with pytest.raises(RequestRefused):
            await wrong
    assert await it.store.live() == []


async def test_a_second_trigger_of_a_key_gives_the_first_run_while_it_lives_and_when_it_has_ended() -> None:
    it = scene()
    await begun(it, "orders", since=10, planned=12)
    first = await it.plane.trigger("orders", key="a")
    assert (await it.plane.trigger("orders", key="a")).id == first.id
    await it.plane.cancel(first.id)
    again = await it.plane.trigger("orders", key="a")
    assert (again.id, again.status) == (first.id, RunStatus.CANCELLED)
    mail = await it.plane.trigger("mail", key="a")
    assert (await it.plane.trigger("mail", key="a")).id == mail.id != first.id
    assert len(await it.store.runs(RunFilter())) == 2


async def test_of_two_triggers_of_a_key_at_once_the_later_one_gives_the_earlier_ones_run() -> None:
    it = scene()
    await begun(it, "orders", since=10, planned=12)
    made: list[RunRecord] = []

    class Late(Here):
        """Somebody else triggers the same key just before."""

        async def queue(self, wanted: NewRun | Decision, /) -> tuple[bool, RunRecord | None]:
            made.append(await it.plane.trigger("orders", key="a", window=hour(10)))
            return False, None

    late = ControlPlane(
        store=it.store, registry=it.registry, options=it.plane.options, clock=it.clock, replica=Late()
    )
    assert (await late.trigger("orders", key="a", window=hour(10))).id == made[0].id


async def test_a_plan_tells_window_and_params_and_queues_nothing() -> None:
    it = scene()
    await begun(it, "orders", since=10, planned=12)
    plan = await it.plane.plan_trigger("orders", params={"limit": 3, "api_token": "hush"})
    assert plan.window == hour(10)
    assert plan.shown == {"region": "eu", "limit": 3, "api_token": "******"}
    assert plan.params.api_token.get_secret_value() == "hush"
    assert await it.store.live() == []
    run = await it.plane.trigger("orders", key="a")
    earlier = (await it.plane.plan_trigger("orders", key="a")).earlier
    assert earlier is not None
    assert earlier.id == run.id


async def test_a_failed_run_is_tried_again_until_its_window_is_settled() -> None:
    it = scene()
    await begun(it, "orders", since=10, planned=12)
    failed = await ended(it, "orders", hour(10), RunStatus.FAILED)
    again = await it.plane.retry(failed.id)
    assert (again.id, again.status, again.attempt) == (failed.id, RunStatus.QUEUED, 2)
    await it.plane.cancel(failed.id)
    await ended(it, "orders", hour(10))
    with pytest.raises(RequestRefused, match="settled"):
        await it.plane.retry(failed.id)


async def test_only_runs_that_failed_or_were_cancelled_are_tried_again() -> None:
    it = scene()
    done = await ended(it, "mail")
    for number, told in ((done.id, "SUCCESS"), (99, "no such run")):
        with pytest.raises(RequestRefused, match=told):
            await it.plane.retry(number)


async def test_a_queued_run_is_cancelled_and_a_running_one_is_asked_to_stop() -> None:
    it = scene()
    here = Here()
    plane = ControlPlane(
        store=it.store, registry=it.registry, options=it.plane.options, clock=it.clock, replica=here
    )
    waiting, working, done = await queued(it, "mail"), await running(it, "mail"), await ended(it, "mail")
    assert (await plane.cancel(waiting.id, by="ada")).status is RunStatus.CANCELLED
    found = await plane.cancel(working.id, by="ada")
    assert (found.status, found.cancel_requested) == (RunStatus.RUNNING, "ada")
    assert here.cancelled == (waiting.id, working.id)
    for number, told in ((done.id, "SUCCESS"), (99, "no such run")):
        with pytest.raises(RequestRefused, match=told):
            await plane.cancel(number)


async def test_runs_are_listed_by_pages_and_shown_with_attempts_and_hidden_secrets() -> None:
    it: Scene = scene()
    made = [await queued(it, "mail", key=f"mail {number}") for number in range(5)]
    first = await it.plane.runs(RunFilter(limit=3))
    rest = await it.plane.runs(RunFilter(limit=3, before=first.before))
    assert [run.id for run in (*first.runs, *rest.runs)] == [run.id for run in reversed(made)]
    assert rest.before is None
    run = await queued(it, "orders", params='{"limit": 3, "api_token": "hush"}')
    view = await it.plane.run(run.id)
    assert view.given == {"limit": 3, "api_token": "******"}
    assert view.zone == "UTC"
    with pytest.raises(RequestRefused, match="no such run"):
        await it.plane.run(99)
    with pytest.raises(RequestRefused, match="1 to 1000"):
        await it.plane.runs(RunFilter(limit=0))
