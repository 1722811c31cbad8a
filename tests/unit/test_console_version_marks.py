"""What the history of parameters tells of each version: in force, to come, given up."""

from __future__ import annotations

from datetime import timedelta

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.ops.console.version_marks import GIVEN_UP, IN_FORCE, TO_COME, mark_of
from piko_flow.store.records import ParamsVersion
from tests.unit.planes import NOW, scene

DAY = timedelta(days=1)


async def test_each_version_is_marked_with_what_has_become_of_it() -> None:
    it = scene()
    for limit, since in ((2, None), (3, NOW + DAY), (4, NOW + 2 * DAY), (5, NOW + DAY)):
        await it.plane.set_params("orders", changes={"limit": limit}, effective_from=since)
    assert await marks(it.plane) == {2: IN_FORCE, 3: GIVEN_UP, 4: GIVEN_UP, 5: TO_COME}
    await it.clock.advance(2 * DAY.total_seconds())
    assert await marks(it.plane) == {2: "", 3: GIVEN_UP, 4: GIVEN_UP, 5: IN_FORCE}
    await it.plane.set_params("orders", changes={"limit": 6})
    assert await marks(it.plane) == {2: "", 3: GIVEN_UP, 4: GIVEN_UP, 5: "", 6: IN_FORCE}


async def marks(plane: ControlPlane) -> dict[int, str]:
    """The mark of each version by its limit."""
    view = await plane.params("orders")
    known: list[ParamsVersion] = [one.version for one in await plane.params_history("orders")]
    return {one.version + 1: mark_of(one, view, known[:place]) for place, one in enumerate(known)}
