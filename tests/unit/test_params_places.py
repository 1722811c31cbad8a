"""Wrong parameters are told each with the place where it came, in the API and in the form."""

import html
import json
import re
from typing import Any, Literal

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field, PostgresDsn, SecretStr, model_validator

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.params.params import ParamsRefused, check_params
from tests.unit.api_worlds import PlaneProcess, api_world
from tests.unit.planes import do_nothing, scene
from tests.unit.test_console_answers import client


class Server(BaseModel):
    host: str
    port: int = 1


class File(BaseModel):
    kind: Literal["file"]
    path: str


class Table(BaseModel):
    kind: Literal["table"]
    name: str


class Settings(BaseModel):
    a: int = 1
    b: int = 2
    servers: list[Server] = []
    sizes: dict[int, int] = {}
    source: File | Table | None = Field(None, discriminator="kind")
    either: int | list[int] = 1
    dotted: int = Field(1, alias="a.b/c")
    port: int = Field(1, alias="p")
    inner: int = Field(1, validation_alias=AliasChoices("within", AliasPath("box", 0)))

    @model_validator(mode="after")
    def _ordered(self) -> "Settings":
        if self.a > self.b:
            raise ValueError("a is above b")
        return self


@pytest.mark.parametrize(
    ("given", "pointers"),
    [
        ({"a": 5}, [""]),
        ({"a": "x", "b": "y"}, ["/a", "/b"]),
        (
            {"servers": [{"host": 1, "port": "x"}, {"port": 1}]},
            ["/servers/0/host", "/servers/0/port", "/servers/1/host"],
        ),
        ({"sizes": {"x": 1, "2": "y"}}, ["/sizes/x", "/sizes/2"]),
        ({"source": {"kind": "file"}}, ["/source/path"]),
        ({"source": {"kind": "disk"}}, ["/source"]),
        ({"either": "x"}, ["/either"]),
        ({"either": ["x"]}, ["/either", "/either/0"]),
        ({"a.b/c": "x"}, ["/a.b~1c"]),
        ({"dotted": "x"}, ["/dotted"]),
        ({"p": "x"}, ["/p"]),
        ({"port": "x"}, ["/port"]),
        ({"box": ["x"]}, ["/box/0"]),
        ({"within": "x"}, ["/within"]),
        ({"servers": [{"port": "x", "host": "h"}] * 30}, [f"/servers/{number}/port" for number in range(20)]),
    ],
)
async def test_each_wrong_value_has_a_pointer_to_where_it_came(
    given: dict[str, Any], pointers: list[str]
) -> None:
    async with api_world() as world:
        Flow.register("f", do_nothing, params=Settings, registry=world.scene.registry)
        run = await world.post("/flows/f/runs", {"params": given}, 422)
        assert [one["pointer"] for one in run["errors"]] == [f"#/params{one}" for one in pointers]
        assert all(one["got"] for one in run["errors"])
        for way in ("values", "changes"):
            written = await world.ask("PATCH", "/flows/f/params", 422, json={way: given})
            assert [one["pointer"] for one in written["errors"]] == [f"#/{way}{one}" for one in pointers]
            assert written["rule"] == "only params that can be used are written"


class Plain(BaseModel, extra="forbid"):
    sizes: dict[str, int] = {}


@pytest.mark.parametrize("given", [{"x" * 400_000: 1}, {"sizes": {"x" * 400_000: "y"}}])
async def test_a_name_that_is_too_long_is_cut_wherever_it_is_told(given: dict[str, Any]) -> None:
    async with api_world() as world:
        Flow.register("f", do_nothing, params=Plain, registry=world.scene.registry)
        for method, path, body in (
            ("POST", "/flows/f/runs", {"params": given}),
            ("PATCH", "/flows/f/params", {"changes": given}),
        ):
            problem = await world.ask(method, path, 422, json=body)
            assert len(str(problem)) < 2_000
            assert problem["errors"][0]["pointer"].endswith("x…")


def test_what_is_wrong_in_a_field_is_told_under_its_own_name_with_the_place_inside() -> None:
    registry: Registry[Flow] = Registry()
    Flow.register("f", do_nothing, params=Settings, registry=registry)
    with pytest.raises(ParamsRefused) as caught:
        check_params(registry["f"], '{"p": "x", "box": ["y"], "servers": [{"port": "z"}]}')
    found = caught.value.fields()
    assert list(found) == ["servers", "port", "inner"]
    assert re.fullmatch(r"0\.host: Field required; 0\.port: .* got 'z'", found["servers"])
    with pytest.raises(ParamsRefused) as caught:
        check_params(registry["f"], '{"a": 5}')
    assert caught.value.fields() == {}


async def test_a_form_tells_what_is_wrong_with_the_whole_and_marks_a_field_that_the_row_calls_otherwise() -> (
    None
):
    plane = scene().plane
    plane.registry = Registry[Flow]()
    Flow.register("f", do_nothing, params=Settings, registry=plane.registry)
    async with client(process=PlaneProcess(plane)) as browser:
        whole = await browser.post("/flows/f/params", data={"p:a": "5", "seen_version": "0"})
        field = await browser.post("/flows/f/params", data={"p:port": "1.5", "seen_version": "0"})
    assert re.search("[Tt]he whole: a is above b", html.unescape(whole.text))
    assert re.search(r'name="p:port"[^>]* aria-invalid="true"', field.text)
    assert (whole.status_code, field.status_code) == (422, 422)


class Bounded(BaseModel):
    low: int = 1

    @model_validator(mode="before")
    @classmethod
    def _quoting(cls, given: dict[str, Any]) -> dict[str, Any]:
        raise ValueError(f"these do not fit: {given}")


class WithSecret(Bounded):
    token: SecretStr = SecretStr("")


class WithAnyName(Bounded, extra="allow"):
    pass


class Inner(BaseModel):
    host: str = "localhost"
    key: SecretStr = SecretStr("of-the-inner-one")


class WithInner(Bounded):
    inner: Inner = Field(default_factory=Inner)


FIT = "these do not fit: {'low': 3}"
NOT_SHOWN = "its value is not accepted (the reason is not shown: it may quote a secret)"


@pytest.mark.parametrize(
    ("model", "given", "told"),
    [
        (Bounded, {"low": 3}, FIT),
        (WithSecret, {"low": 3}, NOT_SHOWN),
        (WithAnyName, {"low": 3}, FIT),
        (WithInner, {"low": 3}, NOT_SHOWN),
        (WithSecret, {"token": "hush-hush"}, NOT_SHOWN),
        (WithAnyName, {"tokn": "hush-hush"}, NOT_SHOWN),
        (WithAnyName, {"more": {"a": [4711]}}, NOT_SHOWN),
        (WithInner, {"inner": {"key": "hush-hush"}}, NOT_SHOWN),
        (WithInner, {"inner": {"kye": "hush-hush"}}, NOT_SHOWN),
        (Bounded, {"low": {"password": 1}}, NOT_SHOWN),
    ],
)
def test_what_a_model_says_of_the_whole_is_shown_where_nothing_in_it_may_be_a_secret(
    model: type[BaseModel], given: dict[str, Any], told: str
) -> None:
    registry: Registry[Flow] = Registry()
    Flow.register("f", do_nothing, params=model, registry=registry)
    with pytest.raises(ParamsRefused) as caught:
        check_params(registry["f"], json.dumps(given))
    assert caught.value.got == f"the whole: {told}"
    assert caught.value.places == {(): told}


class Reading(BaseModel):
    dsn: PostgresDsn = PostgresDsn("postgresql://me@here/orders")
    limit: int = 3


@pytest.mark.parametrize(
    "given",
    [
        {"dsn": "mysql://u:swordfish@h/d"},
        {"limit": "postgresql://u:swordfish@h/d"},
        {"limit": ["mysql://u:swordfish@h/d"]},
    ],
)
async def test_a_password_in_a_url_is_told_to_nobody_when_the_value_is_refused(given: dict[str, Any]) -> None:
    flow = Flow.register("job", do_nothing, params=Reading, registry=Registry())
    with pytest.raises(ParamsRefused) as refused:
        check_params(flow, json.dumps(given))
    assert next(iter(given)) in str(refused.value)
    assert "swordfish" not in f"{refused.value} {refused.value.__dict__}"
