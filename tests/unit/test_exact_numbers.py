"""A number keeps all digits that it was written with on its way into a Decimal of a model."""

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field, RootModel, SecretStr

from piko_flow.cli.control_arguments import given_params
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.params.exact_numbers import (
    ExactNumber,
    as_written,
    exact_number,
    json_text,
    read_json,
)
from piko_flow.control.params.params import check_params
from piko_flow.planning.cron import Cron
from piko_flow.planning.window import BackfillPolicy
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import ConfigRecord
from tests.unit.api_worlds import PlaneProcess, api_world
from tests.unit.planes import begun, do_nothing, scene
from tests.unit.test_console_answers import client

DIGITS = "0.1234567890123456789"
CUT = 0.12345678901234568
LARGE = "123456789012345678901234567890"


class Item(BaseModel):
    price: Decimal = Decimal(0)


class Rates(RootModel[dict[str, Decimal]]):
    pass


class Settings(BaseModel):
    price: Decimal = Field(Decimal(0), alias="cost", validate_default=True)
    maybe: Decimal | None = None
    fine: Decimal = Field(Decimal(0), decimal_places=19)
    ratio: float = 0.0
    either: Decimal | float = 0.0
    prices: list[Decimal] = []
    items: dict[str, list[Item]] = {}
    pair: tuple[Decimal, float] = (Decimal(0), 0.0)
    rates: Rates = Rates({})
    token: SecretStr = SecretStr("t")


def flow(model: Any = Settings) -> Flow:
    return Flow.register("f", do_nothing, params=model, registry=Registry())


@pytest.mark.parametrize(
    ("row", "name", "value"),
    [
        ('{"cost": %s}', "price", Decimal(DIGITS)),
        ('{"maybe": %s}', "maybe", Decimal(DIGITS)),
        ('{"fine": %s}', "fine", Decimal(DIGITS)),
        ('{"ratio": %s}', "ratio", CUT),
        ('{"either": %s}', "either", CUT),
        ('{"prices": [1, 0.1, %s]}', "prices", [Decimal(1), Decimal("0.1"), Decimal(DIGITS)]),
        ('{"items": {"a": [{"price": %s}]}}', "items", {"a": [Item(price=Decimal(DIGITS))]}),
        ('{"pair": [%s, %s]}', "pair", (Decimal(DIGITS), CUT)),
        ('{"rates": {"a": %s}}', "rates", Rates({"a": Decimal(DIGITS)})),
    ],
)
def test_a_decimal_has_all_digits_of_the_row_and_a_float_those_that_it_holds(
    row: str, name: str, value: Any
) -> None:
    text = row.replace("%s", DIGITS)
    for made in (check_params(flow(), text), check_params(flow(), "{}", text)):
        assert getattr(made, name) == value


def test_without_a_model_numbers_are_floats() -> None:
    [value] = check_params(flow(None), f'{{"a": [{DIGITS}]}}')["a"]
    assert (type(value), value) == (float, CUT)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (DIGITS, True),
        ("1e-400", True),
        ("12345678901234567.5", True),
        ("1234567890123456789e1", True),
        ("0.1", False),
        ("1.10", False),
        ("1e400", False),
        ("1e-99999999999999999999", False),
        ("-0.0", False),
    ],
)
def test_only_a_number_that_a_float_does_not_hold_keeps_its_text(text: str, kept: bool) -> None:
    assert isinstance(exact_number(text), ExactNumber) is kept
    read = read_json(f"[{text}]")
    assert isinstance(read[0], ExactNumber) is kept
    assert not kept or json_text(read) == f"[{text}]"


def test_what_json_does_not_have_is_still_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable: object"):
        json_text({"a": object()})
    with pytest.raises(TypeError, match="larger than JSON may have here"):
        json_text({"a": [10**400]})


@pytest.mark.parametrize("text", [LARGE, f"-{LARGE}", str(2**64), str(-(2**63) - 1)])
def test_a_whole_number_beyond_64_bits_keeps_its_digits(text: str) -> None:
    assert json_text(read_json(f'{{"a":[{text}]}}')) == json_text({"a": (int(text),)}) == f'{{"a":[{text}]}}'
    made = check_params(flow(), f'{{"cost": {text}, "ratio": {text}}}')
    assert (made.price, type(made.ratio), made.ratio) == (Decimal(text), float, float(text))
    [value] = check_params(flow(None), f'{{"a": [{text}]}}')["a"]
    assert (type(value), value) == (int, int(text))


@pytest.mark.parametrize("text", [str(2**64 - 1), str(-(2**63)), "1234567890123456789", "0"])
def test_a_whole_number_of_64_bits_is_one(text: str) -> None:
    [value] = read_json(f"[{text}]")
    assert (type(value), value) == (int, int(text))


def test_a_whole_number_that_no_float_comes_near_is_none() -> None:
    with pytest.raises(ValueError, match="401 digits"):
        read_json("1" * 401)


def test_values_that_are_nested_too_deep_for_python_are_as_they_were_read() -> None:
    text, read = f'{{"a": {DIGITS}, "b": {"[" * 200_000}{"]" * 200_000}}}', {"a": CUT}
    with pytest.raises(RecursionError):
        json.loads(text)
    assert as_written(text, read) is read


GIVEN = f'{{"cost": {DIGITS}, "ratio": {DIGITS}}}'


@pytest.mark.parametrize("way", ["changes", "values"])
async def test_the_api_keeps_the_digits_in_rows_and_runs(way: str) -> None:
    async with api_world() as world:
        Flow.register("f", do_nothing, params=Settings, registry=world.scene.registry)
        headers = {"Content-Type": "application/json"}
        body = f'{{"{way}": {GIVEN}}}'
        await world.ask("PATCH", "/flows/f/params", 200, content=body, headers=headers)
        shown = await world.ask("GET", "/flows/f/params", 200)
        assert (shown["params"]["values"]["price"], shown["params"]["values"]["ratio"]) == (DIGITS, CUT)
        body = f'{{"params": {{"maybe": {DIGITS}}}}}'
        await world.ask("POST", "/flows/f/runs", 201, content=body, headers=headers)
        [run] = await world.scene.store.runs(RunFilter(flow="f"))
        assert run.params == f'{{"maybe":{DIGITS}}}'


async def test_a_backfill_keeps_the_digits() -> None:
    async with api_world() as world:
        policy = {"stateful": True, "backfill": BackfillPolicy.CATCH_UP, "schedule": Cron("0 * * * *")}
        register: Any = Flow.register
        register("f", do_nothing, params=Settings, registry=world.scene.registry, **policy)
        await begun(world.scene, "f", since=9, planned=9)
        span = '{"start": "2026-03-02T09:00:00Z", "end": "2026-03-02T12:00:00Z"}'
        params = f'{{"maybe": {DIGITS}, "ratio": {DIGITS}}}'
        body = f'{{"flow": "f", "span": {span}, "params": {params}}}'
        headers = {"Content-Type": "application/json"}
        plan = await world.ask("POST", "/backfills/plan", 200, content=body, headers=headers)
        body = f'{{"digest": "{plan["plan"]["digest"]}", {body[1:]}'
        made = await world.ask("POST", "/backfills", 201, content=body, headers=headers)
        [record] = await world.scene.store.backfills(flow="f")
        assert record.id == made["backfill"]["id"]
    assert json.loads(record.params or "", parse_float=str) == {"maybe": DIGITS, "ratio": DIGITS}


async def test_the_command_line_keeps_the_digits_and_a_later_change_of_another_name_does() -> None:
    it = scene()
    Flow.register("f", do_nothing, params=Settings, registry=it.registry)
    pairs = [f"fine={DIGITS}", f"prices=[{DIGITS}]"]
    await it.plane.set_params("f", changes=given_params(pairs, None, Settings))
    await it.plane.set_params("f", changes={"ratio": 2, "token": "******"})
    values = (await it.plane.params("f")).values
    assert (values["fine"], values["prices"], values["ratio"]) == (DIGITS, [DIGITS], 2.0)
    await it.plane.set_params("f", values=given_params(None, GIVEN, Settings))
    assert (await it.plane.params("f")).values["price"] == DIGITS


async def test_the_form_keeps_the_digits() -> None:
    it = scene()
    Flow.register("f", do_nothing, params=Settings, registry=it.registry)
    form = {"p:prices": f"[{DIGITS}]", "p:token": "", "seen_version": "0"}
    async with client(process=PlaneProcess(it.plane)) as browser:
        preview = await browser.post("/flows/f/params/preview", data=form)
        assert (preview.status_code, DIGITS in preview.text) == (200, True)
        assert (await browser.post("/flows/f/params", data=form)).status_code == 303
        run = {"params": f'{{"prices": [{DIGITS}]}}'}
        assert (await browser.post("/flows/f/trigger", data=run)).status_code == 303
    assert (await it.plane.params("f")).values["prices"] == [DIGITS]
    [made] = await it.store.runs(RunFilter(flow="f"))
    assert json.loads(made.params or "", parse_float=str) == {"prices": [DIGITS]}


async def test_a_row_that_somebody_wrote_keeps_the_digits_when_it_is_changed() -> None:
    it = scene()
    Flow.register("f", do_nothing, params=Settings, registry=it.registry)
    it.store.edit(ConfigRecord("f", GIVEN, 1, None, 1))
    await it.plane.set_params("f", changes={"maybe": 1})
    [row] = await it.store.configs()
    assert json.loads(row.text, parse_float=str) == {"cost": DIGITS, "ratio": DIGITS, "maybe": 1}


async def test_whole_numbers_beyond_64_bits_come_by_every_way() -> None:
    it = scene()
    for name in ("f", "row"):
        Flow.register(name, do_nothing, params=Settings, registry=it.registry)
    async with client(process=PlaneProcess(it.plane)) as browser:
        run = {"params": f'{{"prices": [{LARGE}]}}'}
        assert (await browser.post("/flows/f/trigger", data=run)).status_code == 303
        form = {"p:prices": f"[{LARGE}]", "p:token": "", "seen_version": "0"}
        assert (await browser.post("/flows/f/params/preview", data=form)).status_code == 200
        assert (await browser.post("/flows/f/params", data=form)).status_code == 303
    await it.plane.trigger("f", params={"maybe": int(LARGE)})
    told = {run.params for run in await it.store.runs(RunFilter(flow="f"))}
    assert told == {f'{{"prices":[{LARGE}]}}', f'{{"maybe":{LARGE}}}'}
    assert (await it.plane.params("f")).values["prices"] == [LARGE]
    it.store.edit(ConfigRecord("row", f'{{"cost": {LARGE}}}', 1, None, 1))
    await it.plane.set_params("row", changes={"maybe": 1})
    [row] = [row for row in await it.store.configs() if row.flow == "row"]
    assert row.text == f'{{"cost":{LARGE},"maybe":1}}'


async def test_a_number_with_many_digits_in_a_schedule_is_a_float() -> None:
    async with api_world() as world:
        Flow.register("f", do_nothing, registry=world.scene.registry)
        body = f'{{"type": "interval", "expression": {{"seconds": 3{DIGITS[1:]}}}}}'
        answer = await world.client.request(
            "PATCH", "/api/v1/flows/f/schedule", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code < 500
