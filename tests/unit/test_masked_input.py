"""Stars in a secret's place keep the secret that is there, for parameters, triggers and backfills alike."""

import json
from typing import Any

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field, SecretStr

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.operations.plane_backfills import BackfillRequest
from piko_flow.control.operations.plane_params import shown_params
from piko_flow.control.params.masked_input import with_secrets, without_kept
from piko_flow.control.params.params import check_params
from piko_flow.errors import RequestRefused
from tests.unit.planes import begun, do_nothing, hour, scene

STARS = "******"


class Login(BaseModel):
    user: str
    code: SecretStr


class Settings(BaseModel):
    note: str = ""
    api_key: SecretStr = SecretStr("default")
    login: Login | None = None
    logins: list[Login] = []
    codes: dict[str, SecretStr] = {}
    far: SecretStr | None = Field(None, alias="far-code")


def flow(params: Any = Settings) -> Flow:
    registry: Registry[Flow] = Registry()
    Flow.register("orders", do_nothing, params=params, registry=registry)
    return registry["orders"]


BASE: dict[str, Any] = {
    "note": "x",
    "api_key": "k1",
    "login": {"user": "ada", "code": "c1"},
    "logins": [{"user": "a", "code": "ca"}, {"user": "b", "code": "cb"}],
    "codes": {"one": "o1"},
    "far-code": "f1",
}


def test_what_was_shown_can_be_sent_back_and_changes_nothing() -> None:
    shown = shown_params(flow(), check_params(flow(), json.dumps(BASE)))
    assert STARS in json.dumps(shown)
    back = with_secrets(flow(), shown, BASE)
    assert back == {**{name: BASE[name] for name in BASE if name != "far-code"}, "far": "f1"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"api_key": STARS}, {"api_key": "k1"}),
        ({"note": STARS}, {"note": STARS}),  # no secret's place: a text like any other
        ({"login": {"user": "bob", "code": STARS}}, {"login": {"user": "bob", "code": "c1"}}),
        ({"logins": [{"user": "b", "code": STARS}]}, {"logins": [{"user": "b", "code": "cb"}]}),
        (
            {"logins": [{"user": "b", "code": STARS}, {"user": "a", "code": STARS}]},
            {"logins": [{"user": "b", "code": "cb"}, {"user": "a", "code": "ca"}]},
        ),
        ({"codes": {"one": STARS, "two": "o2"}}, {"codes": {"one": "o1", "two": "o2"}}),
        ({"far": STARS}, {"far": "f1"}),
    ],
)
def test_stars_stand_for_the_secret_of_their_place(given: dict[str, Any], kept: dict[str, Any]) -> None:
    assert with_secrets(flow(), given, BASE) == kept


@pytest.mark.parametrize(
    ("given", "base", "where"),
    [
        ({"login": {"user": "ada", "code": STARS}}, {}, "login.code"),
        ({"login": {"user": "ada", "code": STARS}}, {"login": None}, "login.code"),
        ({"logins": [{"user": "new", "code": STARS}]}, BASE, "logins.0.code"),
        ({"codes": {"two": STARS}}, BASE, "codes.two"),
    ],
)
def test_stars_where_no_secret_is_are_refused(
    given: dict[str, Any], base: dict[str, Any], where: str
) -> None:
    with pytest.raises(RequestRefused, match=rf"{where}: .* no secret is in force there.* Give the secret"):
        with_secrets(flow(), given, base)


class Aliased(BaseModel):
    code: SecretStr = Field(
        SecretStr("d"), validation_alias=AliasChoices("pass", AliasPath("one"), AliasPath("box", 0))
    )


@pytest.mark.parametrize("name", ["code", "pass", "one"])
def test_each_of_several_names_of_a_field_stands_for_the_others(name: str) -> None:
    for stored in ("code", "pass", "one"):
        assert with_secrets(flow(Aliased), {name: STARS}, {stored: "k1"}) == {name: "k1"}
    assert with_secrets(flow(Aliased), {name: STARS}, {}) == {}  # it has a default


def test_a_secret_inside_of_what_stands_under_a_name_is_kept_there_and_nowhere_else() -> None:
    assert with_secrets(flow(Aliased), {"box": STARS}, {"box": ["k1"]}) == {"box": ["k1"]}
    assert with_secrets(flow(Aliased), {"code": STARS}, {"box": ["k1"]}) == {"code": "k1"}
    assert without_kept(flow(Aliased), {"code": STARS}, {"box": ["k1"]}) == {}
    with pytest.raises(RequestRefused, match="no secret is in force there"):
        with_secrets(flow(Aliased), {"box": STARS}, {"code": "k1"})


def test_without_a_model_the_name_tells_a_secret() -> None:
    assert with_secrets(flow(None), {"api_key": STARS, "note": STARS}, {"api_key": "k"}) == {
        "api_key": "k",
        "note": STARS,
    }
    with pytest.raises(RequestRefused, match=r"api_key: .* no secret is in force"):
        with_secrets(flow(None), {"api_key": STARS}, {})


def test_what_goes_over_the_values_leaves_out_what_is_kept() -> None:
    assert without_kept(flow(), {"api_key": STARS, "note": "y"}, BASE) == {"note": "y"}
    assert without_kept(flow(), {"api_key": STARS, "note": STARS}, {}) == {"note": STARS}


@pytest.mark.parametrize("way", ["changes", "values"])
async def test_setting_stars_keeps_the_real_secret_in_the_row(way: str) -> None:
    it = scene()
    await it.plane.set_params("orders", values={"api_token": "k1", "limit": 3})
    given: dict[str, Any] = {way: {"api_token": STARS, "limit": 4}}
    await it.plane.set_params("orders", **given)
    [row] = await it.store.configs()
    assert json.loads(row.text) == {"api_token": "k1", "limit": 4}


async def test_a_trigger_with_stars_runs_with_the_secret_in_force_and_keeps_no_copy() -> None:
    it = scene()
    await it.plane.set_params("mail", values={"api_token": "k1"})
    run = await it.plane.trigger("mail", params={"api_token": STARS, "limit": 7})
    assert json.loads(run.params or "") == {"limit": 7}
    assert run.params_version is not None


async def test_a_backfill_with_stars_runs_with_the_secret_in_force() -> None:
    it = scene()
    await it.plane.set_params("orders", values={"api_token": "k1"})
    await begun(it, "orders", since=8, planned=12)
    request = BackfillRequest(flow="orders", span=hour(4, 4), params={"api_token": STARS, "limit": 7})
    plan = await it.plane.plan_backfill(request)
    made = await it.plane.apply_backfill(request, digest=plan.digest)
    assert json.loads(made.params or "") == {"limit": 7}
