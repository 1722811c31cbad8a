"""Fields that are named are kept nowhere: not in the payload, not in the error, not in what a unit has prepared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, ValidationError

from piko_flow import Parse, Sink, Source, Transform
from piko_flow.control.params.payload import LONGEST
from piko_flow.control.params.redaction import Redaction
from piko_flow.control.runs.journal import encode_unit
from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.url_passwords import HIDDEN
from tests.unit.dead_letter_worlds import World

CARD = Redaction.of(["Card"], ("pin",))


class Order(BaseModel):
    number: int
    card: str


@dataclass
class Customer:
    name: str
    orders: list[Order]


class Row(NamedTuple):
    number: int
    card: str


ORDER = Order(number=1, card="4111-1111")
ITEMS: list[tuple[Any, Any]] = [
    ({"card": "4111-1111", "n": 1}, {"card": HIDDEN, "n": 1}),
    (ORDER, {"number": 1, "card": HIDDEN}),
    (Customer("Ann", [ORDER]), {"name": "Ann", "orders": [{"number": 1, "card": HIDDEN}]}),
    (Row(1, "4111-1111"), {"number": 1, "card": HIDDEN}),
    ([Row(1, "4111-1111")], [{"number": 1, "card": HIDDEN}]),
    ('{"card": "4111-1111"}', '{"card": "******"}'),
    (b'{"CARD": "4111-1111"}', '{"CARD": "******"}'),
    ({"pin": {"now": [4111]}}, {"pin": HIDDEN}),
]


@pytest.mark.parametrize(("item", "kept"), ITEMS, ids=[type(item).__name__ for item, _ in ITEMS])
def test_named_fields_are_hidden_however_deep_they_lie(item: Any, kept: Any) -> None:
    payload = json.loads(CARD.payload(item))
    assert payload["value"] == kept
    assert payload["redacted"] in (["card"], ["CARD"], ["pin"])
    assert "4111" not in CARD.payload(item)


def test_an_item_without_such_fields_is_as_it_was() -> None:
    assert CARD.payload({"n": 2**80}) == Redaction().payload({"n": 2**80})


@pytest.mark.parametrize("item", [object(), {"card": "4111", "text": "x" * LONGEST}])
def test_an_item_whose_fields_cannot_be_told_apart_is_hidden_as_a_whole(item: Any) -> None:
    assert json.loads(CARD.payload(item))["repr"] == HIDDEN


def test_what_is_hidden_is_in_no_text_about_the_item() -> None:
    told = CARD.text("card 4111-1111 of 'Ann' with pin 12 in year 1234", {"card": "4111-1111", "pin": 12})
    assert told == "card ****** of 'Ann' with pin ****** in year 1234"
    with pytest.raises(ValidationError) as caught:
        Order.model_validate({"number": "x" * 100, "card": "4111-1111"})
    assert "xxx" not in CARD.text(str(caught.value), {"number": "x" * 100, "card": "4111-1111"})


def test_what_a_unit_has_prepared_is_stored_without_them() -> None:
    letter = DeadLetter(
        "check", "here", {"card": "4111-1111"}, "no 4111-1111", "ValueError", trace="4111-1111"
    )
    stored = encode_unit(UnitResult("unit", True, [], [], [], dead_letters=[letter]), CARD)
    assert "4111" not in json.dumps(stored)


async def test_a_run_that_fails_does_not_tell_them(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(item: Any) -> Any:
        raise ValueError(f"card {item['card']} is refused")

    item = {"card": "4111-1111"}
    flow = world.register(Source([item]) >> Transform(refuse) >> Sink(str), redact=["card"])
    with caplog.at_level("DEBUG", "piko_flow"):
        outcome = await world.run(flow)
    assert "card ****** is refused" in outcome.error_msg
    assert "4111-1" not in outcome.error_msg + caplog.text


async def test_a_run_over_its_budget_tells_the_first_error_without_them(world: World) -> None:
    def refuse(item: Any) -> Any:
        raise ValueError(f"card {item['card']} is refused")

    pipeline = Source([{"card": "4111-1111"}]) >> Transform(refuse, on_error="skip") >> Sink(str)
    outcome = await world.run(world.register(pipeline, redact=["card"], max_errors=0))
    assert outcome.error_type == "ErrorBudgetExceeded"
    assert "The first: stage 'refuse' (tests/unit/test_dead_letter_redaction.py:" in outcome.error_msg
    assert outcome.error_msg.endswith("): ValueError: card ****** is refused [run 1]")


async def test_an_invalid_item_is_stored_without_its_values(world: World) -> None:
    line = '{"number": "4111-1111", "card": "4111-1111"}'
    flow = world.register(
        Source([line]) >> Parse(Order, on_error="dead_letter") >> Sink(str), redact=["card", "number"]
    )
    await world.run(flow)
    [letter] = await world.letters()
    assert "4111-1" not in letter.payload + letter.error_msg + letter.trace
    assert "int_parsing" in letter.error_msg


@pytest.fixture
def world() -> World:
    return World()
