"""What is said of a flow whose code this process does not have: who ran it last, whether that lives, what to do."""

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.options import ReplicaOptions
from piko_flow.planning.run_state import Reason, RunStatus
from tests.unit.planes import DAY, ended, lead, queued, row, scene


async def test_where_no_run_tells_who_has_the_code_a_package_is_to_be_named() -> None:
    it = scene()
    await lead(it)
    await it.store.add_schedules([row("gone")])
    (line, *_) = (await it.plane.explain_flow("gone")).lines
    assert line.reason is Reason.UNREGISTERED
    assert line.text.endswith("its code is not here, and no run tells who has it")
    assert line.advice == "Name its package with --package or the setting packages, or register it"
    assert (await it.plane.flow("gone")).why == "its code is not here"


async def test_where_a_replica_ran_it_last_it_is_named_and_whether_it_lives_is_told() -> None:
    it = scene()
    await lead(it)
    done = await ended(it, "gone")
    assert done.status is RunStatus.SUCCESS
    where = f"{done.host}, process {done.pid}"
    run = await queued(it, "gone")
    (line, *_) = (await it.plane.explain_run(run.id)).lines
    assert line.text.endswith(f"its code is not here; {where}, which is alive, ran it last")
    assert line.advice.startswith(
        "While that process has it, nothing needs to be done. To have it here, too: name"
    )


async def test_of_a_run_that_is_tried_again_the_process_is_known_that_ran_it_before() -> None:
    it = scene()
    await lead(it)
    failed = await ended(it, "gone", status=RunStatus.FAILED)
    queued_again = await it.plane.retry(failed.id)
    assert queued_again.status is RunStatus.QUEUED
    (line, *_) = (await it.plane.explain_run(failed.id)).lines
    assert line.text.endswith(f"{failed.host}, process {failed.pid}, which is alive, ran it last")
    await it.clock.advance(3 * DAY.total_seconds())
    (line, *_) = (await it.plane.explain_run(failed.id)).lines
    assert line.text.endswith(f"{failed.host}, process {failed.pid} ran it last, and is there no more")


async def test_what_is_said_can_be_read_where_no_code_was_given_and_where_a_name_is_near() -> None:
    it = scene()
    await lead(it)
    done = await ended(it, "mails")
    where = f"{done.host}, process {done.pid}, which is alive, ran it last"
    run = await queued(it, "mails")
    (near, *_) = (await it.plane.explain_run(run.id)).lines
    assert near.text == (
        f"no flow is registered as 'mails'; did you mean 'mail'? Its code is not here; {where}"
    )
    without = ControlPlane(
        store=it.store, registry=Registry[Flow](), options=ReplicaOptions(), clock=it.clock
    )
    (line, *_) = (await without.explain_run(run.id)).lines
    assert line.text == (
        f"'mails' is not registered here, for no package was given: its code is not here; {where}"
    )
