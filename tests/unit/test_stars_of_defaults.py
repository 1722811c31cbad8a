"""Stars keep the secret that is in force where the row has none and the model's defaults hold."""

import html
import json
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel, Field, RootModel, SecretStr

from piko_flow.cli.control_arguments import given_params
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.operations.plane_params import shown_params
from piko_flow.control.params.masked_input import with_secrets
from piko_flow.control.params.params import check_params
from piko_flow.errors import RequestRefused
from tests.unit.api_worlds import PlaneProcess, api_world
from tests.unit.planes import do_nothing, scene
from tests.unit.test_console_answers import client

STARS = "******"


class Server(BaseModel):
    port: int = 1
    host: str = "h"
    key: SecretStr = SecretStr("d")


class File(BaseModel):
    path: str
    key: SecretStr = SecretStr("of-files")


class Table(BaseModel):
    name: str
    key: SecretStr = SecretStr("of-tables")


CODE = SecretStr("c")


@dataclass
class Login:
    user: str = "ada"
    code: SecretStr = CODE


class Aliased(BaseModel):
    code: SecretStr = Field(SecretStr("c"), validation_alias=AliasChoices("pass", "word"))


class Outer(BaseModel):
    n: int = 1
    inner: Server = Server(key=SecretStr("deep"))


class Settings(BaseModel):
    c: Server = Server()
    own: Server = Server(key=SecretStr("own"))
    same: Server = Server(key=SecretStr("d"))
    maybe: Server | None = None
    servers: list[Server] = [Server(), Server(host="two", key=SecretStr("k2"))]
    by_name: dict[str, Server] = {"one": Server(key=SecretStr("n1"))}
    outer: Outer = Outer()
    source: File | Table = File(path="p")
    login: Login = Field(default_factory=Login)
    aliased: Aliased = Aliased()
    token: SecretStr = SecretStr("t")
    codes: dict[str, SecretStr] = {"a": SecretStr("ca")}


class Roots(RootModel[dict[str, Server]]):
    root: dict[str, Server] = {"one": Server(key=SecretStr("n1"))}


class Lacking(BaseModel):
    name: str
    c: Server = Server()


def flow(params: Any = Settings) -> Flow:
    return Flow.register("f", do_nothing, params=params, registry=Registry())


@pytest.mark.parametrize(
    ("given", "row", "kept"),
    [
        ({"c": {"port": 2, "key": STARS}}, {}, {"c": {"port": 2}}),
        ({"c": {"port": 2, "key": STARS}}, {"c": {"port": 3}}, {"c": {"port": 2}}),
        ({"c": {"port": 2, "key": STARS}}, {"c": {"key": "k"}}, {"c": {"port": 2, "key": "k"}}),
        ({"own": {"port": 2, "key": STARS}}, {}, {"own": {"port": 2, "key": "own"}}),
        ({"same": {"port": 2, "key": STARS}}, {}, {"same": {"port": 2}}),
        ({"outer": {"n": 2, "inner": {"key": STARS}}}, {}, {"outer": {"n": 2, "inner": {"key": "deep"}}}),
        ({"token": STARS}, {}, {}),
        ({"by_name": {"one": {"port": 2, "key": STARS}}}, {}, {"by_name": {"one": {"port": 2, "key": "n1"}}}),
        ({"codes": STARS}, {}, {}),
        ({"codes": {"a": STARS, "b": "cb"}}, {}, {"codes": {"a": "ca", "b": "cb"}}),
        # what becomes of it may be of another type, which has another default
        ({"source": {"name": "t", "key": STARS}}, {}, {"source": {"name": "t", "key": "of-files"}}),
        ({"aliased": {"word": STARS}}, {}, {"aliased": {}}),
    ],
)
def test_stars_inside_of_a_default_keep_its_secret(
    given: dict[str, Any], row: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert with_secrets(flow(), given, row) == kept


ONE, TWO = {"port": 1, "host": "h", "key": STARS}, {"port": 1, "host": "two", "key": STARS}


@pytest.mark.parametrize(
    ("given", "row", "kept"),
    [
        ([ONE, TWO | {"port": 2}], None, [{"key": None}, {"key": "k2"}]),
        ([TWO, ONE], None, [{"key": "k2"}, {"key": None}]),
        ([TWO], None, [{"key": "k2"}]),
        ([TWO, ONE], [{}, {"host": "two", "key": "k9"}], [{"key": "k9"}, {"key": None}]),
        ([ONE | {"port": 7}], [{"port": 5}], [{"key": None}]),
    ],
)
def test_stars_in_a_list_keep_the_secret_of_the_item_that_looks_the_same(
    given: list[Any], row: list[Any] | None, kept: list[dict[str, Any]]
) -> None:
    found = with_secrets(flow(), {"servers": given}, {} if row is None else {"servers": row})["servers"]
    assert [{"key": one.get("key")} for one in found] == kept


@pytest.mark.parametrize("row", [{}, {"c": {"port": 4}, "servers": [{"host": "x"}], "own": {"key": "other"}}])
def test_all_that_is_shown_can_be_sent_back_and_changes_nothing(row: dict[str, Any]) -> None:
    now = check_params(flow(), json.dumps(row))
    shown = shown_params(flow(), now)
    back = with_secrets(flow(), {name: shown[name] for name in shown if name != "aliased"}, row)
    assert check_params(flow(), json.dumps(back)) == now
    assert STARS not in json.dumps(back)


def test_a_model_that_is_one_mapping_keeps_what_is_inside() -> None:
    given = {"one": {"port": 2, "key": STARS}}
    assert with_secrets(flow(Roots), given, {"one": {"key": "n2"}}) == {"one": {"port": 2, "key": "n2"}}
    assert with_secrets(flow(Roots), given, {"one": {"port": 3}}) == {"one": {"port": 2}}


@pytest.mark.parametrize(
    ("model", "given", "where"),
    [
        (Settings, {"maybe": {"key": STARS}}, "maybe.key"),
        (Settings, {"servers": [ONE, ONE, {"host": "new", "key": STARS}]}, "servers.2.key"),
        (Settings, {"by_name": {"two": {"key": STARS}}}, "by_name.two.key"),
        (Settings, {"codes": {"b": STARS}}, "codes.b"),
        (Settings, {"aliased": {"code": STARS}}, "aliased.code"),  # the model would not read it there
        (Lacking, {"name": "x", "c": {"key": STARS}}, "c.key"),  # no run could have had it
    ],
)
def test_stars_where_no_secret_is_in_force_are_still_refused(
    model: type[BaseModel], given: dict[str, Any], where: str
) -> None:
    with pytest.raises(RequestRefused, match=rf"{where}: .* no secret is in force there"):
        with_secrets(flow(model), given, {})


class Params(BaseModel):
    c: Server = Server()
    servers: list[Server] = [Server(), Server(key=SecretStr("k2"))]
    token: SecretStr = SecretStr("t")


SERVERS: list[dict[str, Any]] = [{"port": 8, "key": STARS}, {"port": 9, "key": STARS}]
GIVEN: dict[str, Any] = {"c": {"port": 2, "host": "h", "key": STARS}, "servers": SERVERS, "token": STARS}
KEPT = {"c": {"port": 2, "host": "h"}, "servers": [{"port": 8}, {"port": 9, "key": "k2"}]}


@pytest.mark.parametrize("way", ["changes", "values"])
async def test_stars_of_defaults_come_through_the_api(way: str) -> None:
    async with api_world() as world:
        Flow.register("f", do_nothing, params=Params, registry=world.scene.registry)
        await world.ask("PATCH", "/flows/f/params", 200, json={way: GIVEN})
        [row] = await world.scene.store.configs()
        assert json.loads(row.text) == KEPT


async def test_stars_of_defaults_come_through_the_command_line() -> None:
    it = scene()
    Flow.register("f", do_nothing, params=Params, registry=it.registry)
    pairs = [f"{name}={value if name == 'token' else json.dumps(value)}" for name, value in GIVEN.items()]
    await it.plane.set_params("f", changes=given_params(pairs, None, Params))
    [row] = await it.store.configs()
    assert json.loads(row.text) == KEPT


async def test_stars_of_defaults_come_through_the_form_as_its_page_fills_it_in() -> None:
    it = scene()
    Flow.register("f", do_nothing, params=Params, registry=it.registry)
    form = {f"p:{name}": json.dumps(GIVEN[name]) for name in ("c", "servers")} | {"seen_version": "0"}
    async with client(process=PlaneProcess(it.plane)) as browser:
        preview = html.unescape((await browser.post("/flows/f/params/preview", data=form)).text)
        saved = await browser.post("/flows/f/params", data=form | {"p:token": ""})
    assert ('"port": 2' in preview, "k2" in preview) == (True, False)
    assert saved.status_code == 303
    [row] = await it.store.configs()
    assert json.loads(row.text) == KEPT


async def test_stars_of_defaults_come_with_a_trigger() -> None:
    it = scene()
    Flow.register("f", do_nothing, params=Params, registry=it.registry)
    run = await it.plane.trigger("f", params=GIVEN)
    assert json.loads(run.params or "") == KEPT
