"""Items are made again from their JSON: as their own class, or as what the stage takes; never guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, computed_field

from piko_flow import Parse, Sink, Source, Transform
from piko_flow.control.dead_letters.dead_letters import record_of
from piko_flow.control.dead_letters.decoding import class_named
from piko_flow.control.dead_letters.replaying import Replay
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.errors import RequestRefused

DAY = datetime(2026, 1, 1, tzinfo=UTC)


class Color(Enum):
    RED = "red"


class Aliased(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int = Field(alias="orderNumber")
    raw: bytes = b""

    @computed_field
    def double(self) -> int:
        return self.number * 2


class Child(Aliased):
    more: str = ""


class Secret(BaseModel):
    key: SecretStr


@dataclass
class Point:
    x: int
    when: datetime


class Plain:
    """No type that Pydantic knows."""


def any_item(item: Any) -> Any:
    return item


def aliased(item: Aliased) -> Any:
    return item


def aliased_or_text(item: Aliased | str) -> Any:
    return item


def moments(item: dict[str, datetime]) -> Any:
    return item


def revived(item: Any, function: Callable[..., Any] = any_item, *, batch: bool = False) -> list[Any]:
    """The items of a letter of this item, made again for the function."""
    stage = Transform(function, name="check")
    letter = record_of("flow", DeadLetter("check", "here", item, "no", "ValueError", batch=batch))
    return Replay.of(Source(()) >> stage >> Sink(str), [letter], {}).items


KEPT: list[Any] = [
    *(
        None,
        True,
        3,
        2**80,
        1.5,
        float("inf"),
        "text",
        b"\xff\x00",
        [1, None],
        {"a": [1]},
        (1, 2),
        {1},
        frozenset({1}),
    ),
    *(DAY, date(2026, 1, 1), Decimal("1.10"), UUID(int=1), Color.RED),
    *(Point(1, DAY), Aliased(orderNumber=1), Child(orderNumber=1, more="m")),
]


@pytest.mark.parametrize("item", KEPT, ids=lambda item: type(item).__name__)
def test_an_item_is_what_it_was(item: Any) -> None:
    [again] = revived(item)
    assert (again, type(again)) == (item, type(item))


@pytest.mark.parametrize("function", [aliased, aliased_or_text])
def test_a_subclass_of_what_the_stage_takes_stays_one(function: Callable[..., Any]) -> None:
    assert revived(Child(orderNumber=1, more="m"), function) == [Child(orderNumber=1, more="m")]


def test_an_item_is_made_as_what_the_stage_takes_by_now() -> None:
    assert revived({"orderNumber": 1}, aliased) == [Aliased(orderNumber=1)]


def test_a_batch_is_items() -> None:
    assert revived([Aliased(orderNumber=1)] * 2, batch=True) == [Aliased(orderNumber=1)] * 2


def test_lines_that_are_parsed_need_no_types() -> None:
    letter = record_of("flow", DeadLetter("check", "here", {"x": 1, "when": DAY}, "no", "ValueError"))
    pipeline = Source(()) >> Parse(Point, name="check") >> Sink(str)
    assert Replay.of(pipeline, [letter], {}).items == [{"x": 1, "when": "2026-01-01T00:00:00Z"}]


REFUSED: list[tuple[Any, Callable[..., Any], str]] = [
    ({"when": DAY}, any_item, "nothing says what they are"),
    ([(1, 2)], any_item, "nothing says what they are"),
    ({"when": DAY}, moments, "nothing says what they are"),
    (Plain(), any_item, "only a text for people"),
    ("text", aliased, "must fit Aliased as it is today"),
    (Secret(key=SecretStr("s")), any_item, "a secret in it was not kept"),
]


@pytest.mark.parametrize(("item", "function", "reason"), REFUSED, ids=[reason for *_, reason in REFUSED])
def test_what_is_not_known_for_certain_is_refused(
    item: Any, function: Callable[..., Any], reason: str
) -> None:
    with pytest.raises(RequestRefused, match=reason):
        revived(item, function)


def test_a_class_of_a_function_or_of_code_that_is_gone_is_refused() -> None:
    class Local(BaseModel):
        number: int

    with pytest.raises(RequestRefused, match="is not in the code of today"):
        revived(Local(number=1))


@pytest.mark.parametrize(
    "name", ["os.path", "os.system", "no.such.Thing", "piko_flow.nothing", "", "antigravity.x"]
)
def test_a_name_that_is_no_class_of_a_loaded_module_is_none(name: str) -> None:
    assert class_named(name) is None
