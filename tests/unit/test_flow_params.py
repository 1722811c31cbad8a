"""How a run gets its parameters, and what is refused."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.params.params import check_params, ignored_names, refusal_of
from piko_flow.errors import RequestRefused


class Inner(BaseModel):
    depth: int = 1


class Params(BaseModel):
    limit: int = Field(default=3, ge=1)
    day: date = date(2026, 1, 1)
    inner: Inner = Inner()
    key: SecretStr = SecretStr("hidden-default")

    @field_validator("day")
    @classmethod
    def _not_a_sunday(cls, day: date) -> date:
        if day.year == 1:
            raise LookupError("the calendar is not loaded")
        return day


class Needed(BaseModel):
    city: str


def flow(params: type[BaseModel] | None = None, **options: Any) -> Flow:
    async def job(run: RunContext[Any]) -> None: ...

    register: Any = Flow.register
    made: Flow = register("orders", job, params=params, registry=Registry(), **options)
    return made


def test_without_a_row_the_models_defaults_hold_and_a_dictionary_is_empty() -> None:
    assert check_params(flow(Params), None) == Params()
    assert check_params(flow(), None) == {}


def test_the_row_is_validated_by_the_model() -> None:
    params = check_params(flow(Params), '{"limit": 5, "day": "2026-03-01", "inner": {"depth": 2}}')
    assert (params.limit, params.day, params.inner.depth) == (5, date(2026, 3, 1), 2)


def test_without_a_model_the_rows_object_is_the_dictionary() -> None:
    assert check_params(flow(), '{"a": [1, 18446744073709551616]}') == {"a": [1, 2**64]}


def test_what_was_given_with_the_trigger_lies_over_the_row_name_by_name() -> None:
    params = check_params(flow(Params), '{"limit": 5, "day": "2026-03-01"}', '{"limit": 7}')
    assert (params.limit, params.day) == (7, date(2026, 3, 1))
    assert check_params(flow(), None, '{"a": 1}') == {"a": 1}


def test_each_run_gets_values_of_its_own() -> None:
    made = flow(Params)
    first = check_params(made, None)
    first.inner.depth = 9
    assert check_params(made, None).inner.depth == 1


REFUSED: list[tuple[type[BaseModel] | None, str, str]] = [
    (Params, '{"limit": 0}', "limit: Input should be greater than or equal to 1, got 0"),
    (Params, '{"inner": {"depth": "x"}}', "inner.depth: Input should be a valid integer, .*got 'x'"),
    (Params, '{"limit": "many", "day": 3.5}', "limit: .*got 'many'; day: "),
    (Params, "[1]", "params are a JSON object; the row is a list"),
    (Params, "null", "the row is a null"),
    (None, '"text"', "the row is a text"),
    (None, '{"limit": 1', "the row is no JSON"),
    (Params, '{"day": "0001-01-01"}', "a validator raised LookupError: the calendar is not loaded"),
    (Needed, "{}", "city: Field required$"),
]


@pytest.mark.parametrize(("model", "text", "told"), REFUSED, ids=[text for _, text, _ in REFUSED])
def test_params_that_do_not_fit_are_refused(model: type[BaseModel] | None, text: str, told: str) -> None:
    with pytest.raises(RequestRefused, match=f"params of 'orders': .*{told}"):
        check_params(flow(model), text)
    assert re.search(told, refusal_of(flow(model), text, 1))


def test_a_model_that_needs_a_value_refuses_a_run_without_a_row() -> None:
    with pytest.raises(
        RequestRefused, match=r"city: Field required. Write its row, or give the fields a default"
    ):
        check_params(flow(Needed), None)


def test_bad_values_given_with_a_trigger_are_told_apart_from_the_row() -> None:
    with pytest.raises(RequestRefused, match="what was given is a number"):
        check_params(flow(), "{}", "3")


class Guarded(BaseModel):
    password: int = 0
    token: SecretStr = SecretStr("")
    nested: dict[str, SecretStr] = {}

    @field_validator("token", mode="before")
    @classmethod
    def _checked(cls, value: object) -> object:
        if value == "s3cr3t-value-too":
            raise PydanticCustomError("too_short", "{value} is too short", {"value": str(value)})
        if value == "s3cr3t-value":
            raise ValueError(f"{value} is too short")
        return value


@pytest.mark.parametrize(
    "text",
    [
        '{"password": "s3cr3t-value"}',
        '{"token": "s3cr3t-value"}',
        '{"token": "s3cr3t-value-too"}',
        '{"token": ["s3cr3t-value"]}',
        '{"nested": {"a": ["s3cr3t-value"]}}',
        '{"nested": "s3cr3t-value"}',
    ],
)
def test_what_may_be_a_secret_is_not_shown(text: str) -> None:
    told = refusal_of(flow(Guarded), text, 1)
    assert "params of 'orders'" in told
    assert "s3cr3t-value" not in told


def test_only_the_first_of_many_fields_are_told() -> None:
    class Many(BaseModel):
        values: list[int]

    told = refusal_of(flow(Many), '{"values": ["a", "b", "c", "d", "e", "f", "g"]}', 1)
    assert told.count("valid integer") == 5
    assert "and 2 more" in told


def test_a_row_of_another_schema_version_is_refused_where_the_flow_declares_its_own() -> None:
    made = flow(Params, schema_version=2)
    assert "the flow takes rows of schema_version 2; the row has 1" in refusal_of(made, "{}", 1)
    assert refusal_of(made, "{}", 2) == ""
    assert refusal_of(flow(Params), "{}", 7) == ""
    assert check_params(made, None, schema_version=None) == Params()


class Open(BaseModel, extra="allow"):
    limit: int = 3


class Renamed(BaseModel):
    limit: int = Field(default=3, alias="most")


@pytest.mark.parametrize(
    ("model", "text", "told"),
    [
        (Params, '{"limit": 4, "inner": {}}', ""),
        (Params, '{"limits": 4}', "Params does not have, and so ignores: 'limits' (did you mean 'limit'?)"),
        (
            Renamed,
            '{"mots": 4, "most": 4}',
            "Renamed does not have, and so ignores: 'mots' (did you mean 'most'?)",
        ),
        (Open, '{"limits": 4}', ""),
        (None, '{"limits": 4}', ""),
        (Params, "[1]", ""),
        (Params, "{", ""),
        (
            Params,
            '{"q1": 1, "q2": 1, "q3": 1, "q4": 1, "q5": 1, "q6": 1, "q7": 1}',
            "Params does not have, and so ignores: 'q1', 'q2', 'q3', 'q4', 'q5' and 2 more",
        ),
    ],
)
def test_names_of_a_row_that_a_model_ignores_are_told(
    model: type[BaseModel] | None, text: str, told: str
) -> None:
    async def work(run: RunContext[Any]) -> None: ...

    options: dict[str, Any] = {} if model is None else {"params": model}
    flow = Flow.register("ignoring", work, registry=Registry(), **options)
    found = ignored_names(flow, text)
    assert found.removeprefix("the model ") == told
