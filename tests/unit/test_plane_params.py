"""Parameters: checked before they are written, versions by time, secrets hidden, back to an earlier version."""

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr
from typing_extensions import TypedDict

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.operations.plane_params import hidden_text
from piko_flow.control.params.params import refusal_of
from piko_flow.errors import RequestRefused
from piko_flow.store.records import ConfigRecord, ParamsVersion
from tests.unit.planes import NOW, do_nothing, scene

HOUR = timedelta(hours=1)


async def test_without_a_row_the_models_defaults_hold_and_secrets_are_hidden() -> None:
    view = await scene().plane.params("orders")
    assert view.values == {"region": "eu", "limit": 10, "api_token": "******"}
    assert (view.version, view.coming, view.refused, view.unseen) == (None, (), None, None)


async def test_changes_go_over_the_row_and_values_take_its_place() -> None:
    it = scene()
    await it.plane.set_params("orders", values={"region": "us", "limit": 3})
    await it.plane.set_params("orders", changes={"limit": 4})
    assert (await it.plane.params("orders")).values["region"] == "us"
    await it.plane.set_params("orders", values={"limit": 5})
    view = await it.plane.params("orders")
    assert (view.values["region"], view.values["limit"]) == ("eu", 5)
    assert view.version is not None
    assert view.version.version == 3


@pytest.mark.parametrize(
    ("flow", "given", "told"),
    [
        ("orders", {"values": {"limit": "many"}}, "limit"),
        ("orders", {"values": {"limit": "many", "api_token": "hush"}}, "limit"),
        ("orders", {"changes": {"region": 5}}, "region"),
        ("orders", {}, "nothing was given"),
        ("orders", {"values": {"limit": object()}}, "JSON"),
        ("orders", {"changes": {"limt": 5}}, "mean 'limit'"),
        ("orders", {"values": {"regoin": "us"}}, "mean 'region'"),
        ("ordres", {"values": {}}, "did you mean 'orders'"),
    ],
)
async def test_params_that_do_not_fit_are_not_written(flow: str, given: dict[str, Any], told: str) -> None:
    it = scene()
    with pytest.raises(RequestRefused, match=told) as caught:
        await it.plane.set_params(flow, **given)
    assert "hush" not in str(caught.value)
    assert await it.store.configs() == []


async def test_a_trigger_with_a_name_that_the_model_does_not_have_is_refused_with_the_nearest() -> None:
    it = scene()
    await it.plane.set_schedule("orders", timezone="UTC")
    with pytest.raises(RequestRefused, match="mean 'limit'"):
        await it.plane.plan_trigger("orders", params={"limt": 5})


async def test_a_row_that_has_another_name_already_still_takes_changes() -> None:
    it = scene()
    await it.store.set_config("orders", '{"limt": 9}', schema_version=1, effective_from=None)
    made = await it.plane.set_params("orders", changes={"limit": 4})
    assert json.loads(made.text) == {"limt": 9, "limit": 4}


async def test_names_in_a_row_that_the_model_does_not_have_are_shown_as_ignored_while_they_are_in_force() -> (
    None
):
    it = scene()
    await it.plane.set_params("orders", values={"limit": 3})
    assert (await it.plane.params("orders")).ignored == ""
    await it.store.keep_params([ParamsVersion("orders", '{"limit": 4, "limt": 9, "q": 1}', version=2)])
    view = await it.plane.params("orders")
    assert view.values["limit"] == 4
    assert view.ignored.endswith("ignores: 'limt' (did you mean 'limit'?), 'q'")
    assert "9" not in view.ignored
    await it.plane.set_params("orders", values={"limit": 5})
    assert (await it.plane.params("orders")).ignored == ""


async def test_a_later_version_leaves_todays_in_force_until_its_time() -> None:
    it = scene()
    await it.plane.set_params("orders", values={"limit": 1})
    await it.plane.set_params("orders", changes={"limit": 2}, effective_from=NOW + HOUR)
    view = await it.plane.params("orders")
    assert view.values["limit"] == 1
    assert [(one.version, one.effective_from) for one in view.coming] == [(2, NOW + HOUR)]
    await it.clock.advance(7200)
    view = await it.plane.params("orders")
    assert (view.values["limit"], view.coming) == (2, ())


async def test_changes_go_over_what_is_in_force_and_not_over_a_version_for_later() -> None:
    it = scene()
    await it.plane.set_params("orders", values={"region": "us", "limit": 1})
    await it.plane.set_params("orders", changes={"limit": 99}, effective_from=NOW + HOUR)
    await it.plane.set_params("orders", changes={"region": "uk"})
    view = await it.plane.params("orders")
    assert (view.values["region"], view.values["limit"]) == ("uk", 1)
    assert view.coming == (), "it was replaced"


async def test_a_refused_version_is_shown_and_the_last_good_one_stays_in_force() -> None:
    it = scene()
    await it.plane.set_params("orders", values={"limit": 1})
    await it.store.keep_params(
        [ParamsVersion("orders", '{"limit": "x"}', version=2, refused="limit: no number")]
    )
    view = await it.plane.params("orders")
    assert view.values["limit"] == 1
    assert view.refused is not None
    assert view.refused.refused == "limit: no number"


@pytest.mark.parametrize("refused", ['{"limit": "junk", "region": "us"}', "[1]", "{"])
async def test_changes_go_over_what_is_in_force_and_not_over_a_row_that_is_refused(refused: str) -> None:
    it = scene()
    await it.plane.set_params("orders", values={"limit": 5, "api_token": "k1"})
    for version, changes in ((2, {"region": "uk"}), (4, {})):
        it.store.edit(ConfigRecord("orders", refused, 1, None, version))
        made = await it.plane.set_params("orders", changes=changes)
        assert json.loads(made.text) == {"limit": 5, "api_token": "k1", "region": "uk"}
    with pytest.raises(RequestRefused, match="nothing was given"):
        await it.plane.set_params("orders", changes={})


async def test_a_row_that_no_poll_has_seen_is_shown_as_such() -> None:
    it = scene()
    await it.store.set_config("orders", '{"limit": 9}', schema_version=1, effective_from=None)
    view = await it.plane.params("orders")
    assert view.values["limit"] == 10
    assert view.unseen is not None
    assert view.unseen.version == 1


async def test_history_has_every_version_newest_first_without_secrets() -> None:
    it = scene()
    await it.plane.set_params("orders", values={"limit": 1, "api_token": "hush"})
    await it.plane.set_params("orders", values={"limit": 2})
    found = await it.plane.params_history("orders")
    assert [one.values for one in found] == [{"limit": 2}, {"limit": 1, "api_token": "******"}]
    assert len(await it.plane.params_history("orders", limit=1)) == 1


async def test_a_rollback_writes_the_old_values_as_a_new_version() -> None:
    it = scene()
    for limit in (1, 2):
        await it.plane.set_params("orders", values={"limit": limit})
    made = await it.plane.rollback_params("orders", 1)
    assert (made.version, made.text) == (3, '{"limit":1}')
    with pytest.raises(RequestRefused, match="none of this number"):
        await it.plane.rollback_params("orders", 9)


async def test_it_is_told_which_versions_to_come_a_new_one_gives_up() -> None:
    it = scene()
    await it.plane.set_params("orders", values={"limit": 1})
    for number, hours in ((2, 5), (3, 8)):
        since = NOW + timedelta(hours=hours)
        await it.plane.set_params("orders", values={"limit": number}, effective_from=since)
    since = NOW + timedelta(hours=6)
    made = await it.plane.set_params("orders", values={"limit": 4}, effective_from=since)
    assert [one.version for one in await it.plane.given_up_params(made)] == [3]
    assert [one.version for one in (await it.plane.params("orders")).coming] == [2, 4]
    made = await it.plane.rollback_params("orders", 1)
    assert [one.version for one in await it.plane.given_up_params(made)] == [2, 4]
    assert (await it.plane.params("orders")).coming == ()


async def test_a_version_that_had_two_values_is_told_apart_by_its_id() -> None:
    it = scene()
    kept = [
        (await it.store.keep_params([ParamsVersion("orders", text, version=1)]))[0]
        for text in ('{"limit": 1}', '{"limit": 2}')
    ]
    with pytest.raises(RequestRefused, match="--id"):
        await it.plane.rollback_params("orders", 1)
    made = await it.plane.rollback_params("orders", 1, number=kept[0].id)
    assert made.text == '{"limit": 1}'


async def test_a_flow_without_a_model_takes_any_object() -> None:
    it = scene()
    await it.plane.set_params("idle", changes={"a": [1, {"password": "hush"}], "b": {"token": "hush"}})
    view = await it.plane.params("idle")
    assert view.values["b"] == {"token": "******"}
    assert "hush" not in str(view.values)


def test_secrets_of_models_within_models_and_under_another_name_are_hidden() -> None:
    class Login(BaseModel):
        user: str
        key: SecretStr

    class Deep(BaseModel):
        logins: list[Login]
        others: dict[str, Login] | None
        pins: dict[str, SecretStr]
        spare: Login
        pin: SecretStr = Field(alias="thePin")

    registry: Registry[Flow] = Registry()
    flow = Flow.register("deep", do_nothing, params=Deep, registry=registry)
    login = {"user": "ada", "key": "hush"}
    values = {
        "logins": [login],
        "others": {"bob": login},
        "pins": {"a": "hush"},
        "spare": login,
        "thePin": "hush",
    }
    text = json.dumps(values)
    shown = hidden_text(flow, text)
    assert shown == {
        "logins": [{"user": "ada", "key": "******"}],
        "others": {"bob": {"user": "ada", "key": "******"}},
        "pins": "******",
        "spare": {"user": "ada", "key": "******"},
        "thePin": "******",
    }
    assert hidden_text(flow, "no JSON") is None


class Login(BaseModel):
    user: str = ""
    key: SecretStr = SecretStr("")


class Reach(TypedDict):
    key: SecretStr


class Misplaced(BaseModel):
    login: Login = Login()
    logins: list[Login] = []
    named: dict[str, Login] = {}
    reach: Reach = {"key": SecretStr("")}
    limits: dict[str, int] = {}


@pytest.mark.parametrize(
    "values",
    [
        {"login": "sw0rd"},
        {"login": ["sw0rd"]},
        {"login": {"keey": "sw0rd"}},
        {"login": {"user": {"a": 1}, "kee": ["sw0rd"]}},
        {"logins": "sw0rd"},
        {"logins": ["sw0rd"]},
        {"logins": {"a": "sw0rd"}},
        {"named": {"user": {"key": "sw0rd"}}},
        {"named": {"user": "sw0rd"}},
        {"reach": "sw0rd"},
        {"reach": {"key": ["sw0rd"]}},
        {"limits": {"a": "many"}, "logn": "sw0rd"},
    ],
)
def test_a_secret_in_a_wrong_place_or_form_of_a_nested_model_is_shown_nowhere(values: dict[str, Any]) -> None:
    flow = Flow.register("misplaced", do_nothing, params=Misplaced, registry=Registry())
    text = json.dumps(values)
    assert "sw0rd" not in refusal_of(flow, text, 1)
    assert "sw0rd" not in str(hidden_text(flow, text))


def test_what_is_no_secret_is_told_also_beside_a_model_with_one() -> None:
    flow = Flow.register("shown", do_nothing, params=Misplaced, registry=Registry())
    assert "got 'many'" in refusal_of(flow, '{"limits": {"a": "many"}}', 1)
    assert hidden_text(flow, '{"limits": {"a": 1}, "login": {"user": "ada", "key": "x"}}') == {
        "limits": {"a": 1},
        "login": {"user": "ada", "key": "******"},
    }


async def test_times_of_a_flow_are_of_its_rows_zone() -> None:
    it = scene()
    await it.plane.set_schedule("orders", timezone="Europe/Berlin")
    assert (await it.plane.params("orders")).zone == "Europe/Berlin"


async def test_fields_that_nobody_has_set_are_shown_as_lacking_until_they_are_set() -> None:
    class Needy(BaseModel):
        target: str

    async def work(run: RunContext[Needy]) -> None: ...

    it = scene()
    Flow.register("needy", work, params=Needy, registry=it.registry)
    assert "target" in (await it.plane.params("needy")).lacking
    await it.plane.set_params("needy", changes={"target": "here"})
    assert (await it.plane.params("needy")).lacking == ""
