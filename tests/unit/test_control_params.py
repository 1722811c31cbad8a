"""Parameters are pinned when a run is queued, and only good ones that have come into force are."""

import pytest
from pydantic import BaseModel

from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import Reason
from tests.unit.control_worlds import (
    CATCH_UP,
    HOURLY,
    MINUTE,
    Flows,
    at,
    away,
    config,
    hours,
)


class Settings(BaseModel):
    """Parameters of the flow `orders`."""

    region: str = "eu"
    limit: int = 10


@pytest.fixture
def flows() -> Flows:
    made = Flows()
    made.add("orders", params=Settings, schedule=HOURLY)
    return made


def regions(flows: Flows) -> list[str]:
    """With which region each run ran."""
    return [run.params.region for run in flows.seen]


async def test_without_a_row_the_models_defaults_hold(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(hours=1)
        [run] = world.runs("orders")
        assert flows.seen[0].params == Settings()
        assert (run.params_version, run.config_version) == (None, None)


async def test_a_flow_without_a_model_gets_its_row_as_a_dictionary_and_an_empty_one_without() -> None:
    flows = Flows()
    flows.add("free", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(hours=1)
        world.store.edit(config("free", '{"a": [1]}'))
        await world.advance(hours=1)
        assert [run.params for run in flows.seen] == [{}, {"a": [1]}]


async def test_a_changed_row_is_in_force_for_what_is_queued_after_the_next_poll(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(hours=1)
        world.store.edit(config("orders", '{"region": "us"}', version=5))
        await world.advance(hours=1)
        assert regions(flows) == ["eu", "us"]
        assert world.runs("orders")[1].config_version == 5


async def test_a_change_that_forgot_to_raise_the_version_counts(flows: Flows) -> None:
    async with flows.within() as world:
        for region in ("us", "jp"):
            world.store.edit(config("orders", f'{{"region": "{region}"}}', version=1))
            await world.advance(hours=1)
        assert regions(flows) == ["us", "jp"]


async def test_a_run_that_waits_keeps_the_parameters_with_which_it_was_queued(flows: Flows) -> None:
    flows.takes["orders"] = 5400
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(hours=2)  # the second one waits for the first
        world.store.edit(config("orders", '{"region": "jp"}'))
        await world.advance(hours=4)
        assert regions(flows)[:3] == ["us", "us", "jp"]


async def test_a_second_attempt_has_the_parameters_of_the_first() -> None:
    flows = Flows()
    flows.add("orders", params=Settings, schedule=HOURLY, retry=2)
    flows.fails["orders"] = OSError("busy")
    flows.takes["orders"] = 1200
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(hours=1, minutes=5)
        world.store.edit(config("orders", '{"region": "jp"}'))
        await world.advance(minutes=45)
        assert [(run.attempt, run.params.region) for run in flows.seen] == [(1, "us"), (2, "us")]


async def test_a_version_for_later_leaves_todays_in_force_until_its_time(flows: Flows) -> None:
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(minutes=30)
        world.store.edit(config("orders", '{"region": "jp"}', effective_from=at(14) + 30 * MINUTE))
        await world.advance(hours=3)
        assert regions(flows) == ["us", "us", "jp"]


async def test_a_version_for_later_leaves_todays_in_force_also_for_the_next_leader(flows: Flows) -> None:
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(minutes=30)
        world.store.edit(config("orders", '{"region": "jp"}', effective_from=at(15)))
        await world.advance(minutes=10)
        await away(world, minutes=5)
        await world.advance(hours=3)
        assert regions(flows) == ["us", "us", "jp"]


async def test_a_version_for_later_where_there_was_none_leaves_the_defaults_in_force(flows: Flows) -> None:
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "jp"}', effective_from=at(14)))
        await world.advance(minutes=10)
        await away(world, minutes=5)
        await world.advance(hours=2)
        assert regions(flows) == ["eu", "jp"]


async def test_when_a_version_is_in_force_is_judged_by_the_databases_clock(flows: Flows) -> None:
    async with flows.within() as world:
        [replica] = world.replicas
        world.store.edit(config("orders", '{"region": "jp"}', effective_from=at(13)))
        await world.advance(minutes=10)
        replica.clock.skew = -2 * 60 * MINUTE
        await world.advance(minutes=50)
        assert regions(flows) == ["jp"]
        replica.clock.skew = 2 * 60 * MINUTE
        world.store.edit(config("orders", '{"region": "us"}', effective_from=at(14.5)))
        await world.advance(hours=1)
        assert regions(flows) == ["jp", "jp"]


WRONG = {
    "no JSON": "{region: us}",
    "no object": '["us"]',
    "a wrong value": '{"limit": "many"}',
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_row_that_does_not_fit_never_replaces_a_good_one_and_is_shown_with_its_reason(
    flows: Flows, case: str
) -> None:
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(hours=1)
        world.store.edit(config("orders", WRONG[case], version=2))
        await world.advance(hours=1)
        await away(world, minutes=5)
        await world.advance(hours=1)
        assert regions(flows) == ["us"] * 3
        [newest, _] = await world.plane.params_history("orders")
        assert newest.version.refused
        lines = (await world.plane.explain_flow("orders")).lines
        assert Reason.PARAMS_REFUSED in [line.reason for line in lines]


async def test_a_row_that_does_not_fit_where_there_was_none_leaves_the_defaults_in_force(
    flows: Flows,
) -> None:
    async with flows.within() as world:
        world.store.edit(config("orders", '{"limit": "many"}'))
        await world.advance(hours=1)
        assert regions(flows) == ["eu"]


async def test_a_row_that_is_mended_after_its_refusal_is_in_force(flows: Flows) -> None:
    async with flows.within() as world:
        for text in ('{"limit": "many"}', '{"limit": 3}'):
            world.store.edit(config("orders", text))
            await world.advance(hours=1)
        assert [run.params.limit for run in flows.seen] == [10, 3]


async def test_a_row_of_another_schema_version_is_refused_with_both_numbers() -> None:
    flows = Flows()
    flows.add("orders", params=Settings, schedule=HOURLY, schema_version=2)
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}', schema_version=2))
        await world.advance(hours=1)
        world.store.edit(config("orders", '{"region": "jp"}', schema_version=1))
        await world.advance(hours=1)
        assert regions(flows) == ["us", "us"]
        [newest, _] = await world.plane.params_history("orders")
        assert "schema_version 2; the row has 1" in newest.version.refused.replace("got: ", "")


async def test_a_deleted_row_means_the_defaults_for_what_is_queued_after_the_next_poll(flows: Flows) -> None:
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(hours=1)
        world.store.delete_config("orders")
        await world.advance(hours=1)
        assert regions(flows) == ["us", "eu"]
        assert world.runs("orders")[1].config_version is None
        [gone, _] = await world.plane.params_history("orders")
        assert (gone.deleted, gone.values) == (True, None)


async def test_a_flow_without_a_model_gets_an_empty_dictionary_once_its_row_is_deleted() -> None:
    flows = Flows()
    flows.add("free", schedule=HOURLY)
    async with flows.within() as world:
        world.store.edit(config("free", '{"a": [1]}'))
        await world.advance(hours=1)
        world.store.delete_config("free")
        await world.advance(hours=1)
        assert [run.params for run in flows.seen] == [{"a": [1]}, {}]


async def test_a_row_that_was_deleted_while_nobody_led_means_the_defaults(flows: Flows) -> None:
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(hours=1)
        for replica in list(world.replicas):
            replica.crash(600)
        world.store.delete_config("orders")
        await world.advance(hours=1)
        await away(world, minutes=5)  # and so it is for the one after that
        await world.advance(hours=1)
        assert regions(flows) == ["us", "eu", "eu"]
        assert [one.deleted for one in await world.plane.params_history("orders")] == [True, False]


async def test_a_deleted_row_takes_the_version_for_later_with_it(flows: Flows) -> None:
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(minutes=10)
        world.store.edit(config("orders", '{"region": "jp"}', effective_from=at(14)))
        await world.advance(minutes=10)
        world.store.delete_config("orders")
        await world.advance(hours=3)
        assert regions(flows) == ["eu"] * 3
        view = await world.plane.params("orders")
        assert (view.version, view.coming, view.values) == (None, (), {"region": "eu", "limit": 10})


async def test_a_row_that_comes_back_is_in_force_and_one_that_does_not_fit_leaves_the_defaults(
    flows: Flows,
) -> None:
    async with flows.within() as world:
        for text in ('{"region": "us"}', None, '{"limit": "many"}', '{"region": "us"}'):
            if text is None:
                world.store.delete_config("orders")
            else:
                world.store.edit(config("orders", text))
            await world.advance(hours=1)
        assert regions(flows) == ["us", "eu", "eu", "us"]


async def test_a_row_without_any_text_is_refused_and_is_no_deletion(flows: Flows) -> None:
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(hours=1)
        world.store.edit(config("orders", ""))
        await world.advance(hours=1)
        assert regions(flows) == ["us", "us"]
        [newest, _] = await world.plane.params_history("orders")
        assert (newest.deleted, bool(newest.version.refused)) == (False, True)


async def test_a_rollback_goes_back_to_values_and_never_to_a_deletion(flows: Flows) -> None:
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(minutes=10)
        world.store.delete_config("orders")
        await world.advance(minutes=30)
        [gone, first] = await world.plane.params_history("orders")
        with pytest.raises(RequestRefused, match="one that was seen"):
            await world.plane.rollback_params("orders", gone.version.version)
        await world.plane.rollback_params("orders", first.version.version)
        await world.advance(hours=1)
        assert regions(flows) == ["us"]


async def test_every_version_that_was_seen_is_kept_and_a_rollback_makes_an_old_one_the_newest(
    flows: Flows,
) -> None:
    async with flows.within() as world:
        for version, region in ((1, "us"), (2, "jp")):
            world.store.edit(config("orders", f'{{"region": "{region}"}}', version=version))
            await world.advance(hours=1)
        await world.plane.rollback_params("orders", 1)
        await world.advance(hours=1)
        assert regions(flows) == ["us", "jp", "us"]
        assert [one.version.version for one in await world.plane.params_history("orders")] == [3, 2, 1]


async def test_what_a_trigger_names_goes_over_the_version_in_force_for_that_run_alone(flows: Flows) -> None:
    async with flows.within() as world:
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(minutes=10)
        await world.plane.trigger("orders", params={"limit": 3})
        await world.advance(hours=1)
        assert [run.params for run in flows.seen] == [
            Settings(region="us", limit=3),
            Settings(region="us", limit=10),
        ]


async def test_what_a_trigger_names_wrongly_is_refused_and_queues_nothing(flows: Flows) -> None:
    async with flows.within() as world:
        with pytest.raises(RequestRefused, match="limit"):
            await world.plane.trigger("orders", params={"limit": "many"})
        assert world.runs() == []


async def test_a_window_that_is_caught_up_has_the_parameters_of_the_moment_it_is_queued() -> None:
    flows = Flows()
    flows.add("orders", params=Settings, schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        world.store.edit(config("orders", '{"region": "us"}'))
        await away(world, hours=3)
        await world.advance(minutes=10)
        assert flows.windows("orders") == hours(11, 15)
        assert regions(flows) == ["eu", "us", "us", "us"]


async def test_a_row_for_a_flow_that_nobody_registered_is_left_alone(flows: Flows) -> None:
    async with flows.within() as world:
        world.store.edit(config("nobody", "{}"))
        world.store.edit(config("orders", '{"region": "us"}'))
        await world.advance(hours=1)
        assert regions(flows) == ["us"]
        assert await world.store.params("nobody") == []
