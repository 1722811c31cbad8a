"""A changed field is read as it was changed, whichever of its names the row and the change give it."""

import json
from typing import Any

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field, SecretStr

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.operations.plane_backfills import BackfillRequest
from piko_flow.control.params.field_names import overlaid
from piko_flow.control.params.masked_input import with_secrets
from piko_flow.control.params.params import check_params, ignored_names
from piko_flow.errors import RequestRefused
from tests.unit.api_worlds import PlaneProcess, api_world
from tests.unit.planes import begun, do_nothing, hour, scene
from tests.unit.test_console_answers import client


class Login(BaseModel):
    token: SecretStr = Field(
        SecretStr("default"), validation_alias=AliasChoices("pass", "token", AliasPath("box", 0))
    )
    host: str = Field("x", alias="h")
    deep: str = Field("d", validation_alias=AliasPath("far", "away", 1))


class Both(BaseModel, populate_by_name=True):
    host: str = Field("x", alias="h")


class Crossed(BaseModel):
    b: int = Field(0, alias="c")
    a: int = Field(0, alias="b")


def flow(model: Any = Login, **options: Any) -> Flow:
    registry: Registry[Flow] = Registry()
    Flow.register("orders", do_nothing, params=model, registry=registry, **options)
    return registry["orders"]


def read(it: Flow, values: dict[str, Any]) -> dict[str, Any]:
    params = check_params(it, json.dumps(values))
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in params.model_dump().items()
    }


@pytest.mark.parametrize(
    ("model", "base", "changes", "field", "made"),
    [
        (Login, {"pass": "s1"}, {"token": "s2"}, "token", {"token": "s2"}),
        (Login, {"token": "s1"}, {"pass": "s2"}, "token", {"pass": "s2"}),
        (Login, {"pass": "s1", "token": "s0"}, {"token": "s2"}, "token", {"token": "s2"}),
        (Login, {"box": ["s1", 7]}, {"token": "s2"}, "token", {"box": ["s2", 7]}),
        (Login, {}, {"token": "s3", "pass": "s2"}, "token", {"pass": "s2"}),
        (Login, {"h": "old", "n": 1}, {"host": "s2"}, "host", {"h": "s2", "n": 1}),
        (Login, {}, {"host": "s2"}, "host", {"h": "s2"}),
        (Login, {"host": "unread"}, {"h": "s2"}, "host", {"h": "s2"}),
        (Login, {"far": {"away": [0, "d"]}}, {"deep": "s2"}, "deep", {"far": {"away": [0, "s2"]}}),
        (Both, {"h": "old"}, {"host": "s2"}, "host", {"host": "s2"}),
        (Both, {"host": "old"}, {"h": "s2"}, "host", {"h": "s2"}),
        (Crossed, {"b": 1, "c": 2}, {"b": 3}, "a", {"b": 3, "c": 2}),
        (Crossed, {"b": 1, "c": 2}, {"a": 3}, "a", {"b": 3, "c": 2}),
    ],
)
def test_a_change_takes_the_place_of_the_field_under_any_of_its_names(
    model: type[BaseModel], base: dict[str, Any], changes: dict[str, Any], field: str, made: dict[str, Any]
) -> None:
    it, before = flow(model), json.dumps(base)
    assert overlaid(it, base, changes) == made
    assert json.dumps(base) == before
    assert read(it, made)[field] in ("s2", 3)


def test_a_field_that_is_read_only_inside_another_value_is_refused_where_that_is_not_there() -> None:
    for base in ({}, {"far": "text"}, {"far": {"away": [0]}}):
        with pytest.raises(RequestRefused, match=r"'deep' is read inside 'far' alone; .* Give 'far' with it"):
            overlaid(flow(), base, {"deep": "s2"})


def test_without_a_model_names_are_only_names() -> None:
    assert overlaid(flow(None), {"h": 1, "n": 2}, {"host": 3, "n": 4}) == {"h": 1, "host": 3, "n": 4}


def test_a_row_whose_field_has_a_name_that_the_model_does_not_read_is_told() -> None:
    class Renamed(BaseModel):
        limit: int = Field(3, alias="most")

    assert "ignores: 'limit'" in ignored_names(flow(Renamed), '{"limit": 4, "most": 5}')
    assert ignored_names(flow(Both), '{"host": "a"}') == ""


async def test_a_secret_that_is_rotated_under_another_name_is_the_new_one_in_the_row_and_in_runs() -> None:
    async with api_world() as world:
        Flow.register("mail_out", do_nothing, params=Login, registry=world.scene.registry)
        await world.ask("PATCH", "/flows/mail_out/params", json={"values": {"pass": "s1", "host": "old"}})
        plan = await world.scene.plane.plan_trigger("mail_out", params={"token": "s2", "host": "new"})
        await world.ask("PATCH", "/flows/mail_out/params", json={"changes": {"token": "s3"}})
        [newest, first] = await world.scene.store.params("mail_out")
    assert (json.loads(first.text), json.loads(newest.text)) == (
        {"pass": "s1", "h": "old"},
        {"token": "s3", "h": "old"},
    )
    assert (plan.params.token.get_secret_value(), plan.params.host) == ("s2", "new")


async def test_a_backfill_has_the_value_that_it_was_given_under_another_name() -> None:
    it = scene()
    Flow.register("orders_by_name", do_nothing, params=Both, registry=it.registry, stateful=True)
    await it.plane.set_params("orders_by_name", values={"h": "old"})
    await begun(it, "orders_by_name", since=8, planned=12)
    request = BackfillRequest(flow="orders_by_name", span=hour(4, 4), params={"host": "new"})
    plan = await it.plane.plan_backfill(request)
    made = await it.plane.apply_backfill(request, digest=plan.digest)
    assert check_params(it.registry["orders_by_name"], '{"h": "old"}', made.params).host == "new"


def test_stars_keep_the_secret_that_the_model_reads_of_several_names() -> None:
    row = {"token": "unread", "pass": "s1"}
    for name in ("token", "pass"):
        kept = with_secrets(flow(), {name: "******"}, row)
        assert (kept, read(flow(), kept)["token"]) == ({name: "s1"}, "s1")


async def test_a_form_shows_and_saves_a_field_whose_row_has_its_other_name() -> None:
    plane = scene().plane
    plane.registry = Registry[Flow]()
    Flow.register("f", do_nothing, params=Login, registry=plane.registry)
    await plane.set_params("f", values={"h": "old", "pass": "s1"})
    sent = {"p:host": "new", "p:token": "s2", "p:deep": "d", "seen_version": "1"}
    async with client(process=PlaneProcess(plane)) as browser:
        seen = await browser.post("/flows/f/params/preview", data=sent, headers={"HX-Request": "true"})
        assert (seen.text.count("a secret"), "<del>&#34;old&#34;</del>" in seen.text) == (1, True)
        assert (await browser.post("/flows/f/params", data=sent)).status_code == 303
    assert json.loads((await plane.store.params("f"))[0].text) == {"h": "new", "token": "s2"}
