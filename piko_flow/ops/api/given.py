"""What requests of the API are made of: names, numbers, moments and parameters, each with its bounds."""

from __future__ import annotations

import re
from datetime import datetime
from math import isfinite
from typing import Annotated, Any, Final, Protocol

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)

from piko_flow.planning.moment import utc
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.seen import Seen
from piko_flow.store.texts import NOT_STORABLE, storable

LARGEST: Final = 2**53 - 1
"""The largest whole number that every reader of JSON keeps as it is."""
LONGEST_WHOLE: Final = 63
"""Bits of a whole number in parameters, besides its sign."""
LONGEST_FLOW: Final = 128
DEEPEST: Final = 32
"""How deep parameters may be nested."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
NO_SLASH = r"^[^\x00-\x1f/\\]+$"


def plain_text(text: str) -> str:
    """The text as it is. Raises ValueError for one that no database can keep."""
    if not storable(text):
        raise ValueError(NOT_STORABLE)
    return text


def read_moment(value: object) -> datetime:
    """A moment from its text in ISO 8601 with an offset. Raises ValueError for anything else."""
    if isinstance(value, datetime):
        return utc(value, "moment")
    if isinstance(value, str) and MOMENT.fullmatch(f"{value}Z"):
        raise ValueError("a moment ends with its offset, as 2026-03-01T09:00:00Z does, and this one has none")
    if not isinstance(value, str) or not MOMENT.fullmatch(value):
        raise ValueError("a moment is text such as 2026-03-01T09:00:00Z, with its offset")
    return utc(datetime.fromisoformat(value), "moment")


def read_flag(value: object) -> bool:
    """True or false, in an address by these words. Raises ValueError for anything else."""
    if isinstance(value, bool):
        return value
    if value not in ("true", "false"):
        raise ValueError("it is true or false")
    return value == "true"


def json_value(value: Any, depth: int = 0) -> Any:
    """The value as it is. Raises ValueError for what JSON in a database cannot say, and for what is nested too deep."""
    if depth > DEEPEST:
        raise ValueError(f"values are nested at most {DEEPEST} deep")
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, int) and not -(2**LONGEST_WHOLE) <= value < 2**LONGEST_WHOLE:
        raise ValueError("a whole number has at most 64 bits")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("a number has at most 64 bits, so it is below 1.8e308")
    for name, item in value.items() if isinstance(value, dict) else ():
        json_value(name, depth + 1)
        json_value(item, depth + 1)
    for item in value if isinstance(value, list) else ():
        json_value(item, depth + 1)
    return value


def whole(value: object) -> object:
    """A whole number written as 3.0 as the number it is; anything else unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


FlowText = Annotated[
    str, Field(min_length=1, max_length=LONGEST_FLOW, pattern=NO_SLASH), AfterValidator(plain_text)
]
Moment = Annotated[
    datetime,
    PlainValidator(read_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-01T09:00:00Z"]}),
]
Flag = Annotated[bool, BeforeValidator(read_flag)]
Params = Annotated[dict[str, Any], AfterValidator(json_value)]
FlowInPath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=LONGEST_FLOW,
        pattern=NO_SLASH,
        description="The name of a flow.",
        examples=["sync_orders"],
    ),
    AfterValidator(plain_text),
]
OnlyFlow = Annotated[
    str | None,
    Query(min_length=1, max_length=LONGEST_FLOW, pattern=NO_SLASH, description="Only this flow's."),
    AfterValidator(lambda text: text if text is None else plain_text(text)),
]
Before = Annotated[
    int | None,
    Query(ge=1, le=LARGEST, description="Only those with lower numbers: the `before` of the last page."),
]
AfterFlow = Annotated[
    str, Query(max_length=LONGEST_FLOW, description="Only names after this one."), AfterValidator(plain_text)
]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many are listed at most.")]


def number_of(what: str) -> Any:
    """The number of one thing in a path."""
    return Path(ge=1, le=LARGEST, description=f"The number of {what}.", examples=[1])


class Body(BaseModel):
    """A body of a request: only fields that are known, each of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SeenRun(Body):
    """How a run was when it was looked at: where it is another now, nothing is changed (409)."""

    status: Annotated[RunStatus, Field(strict=False)] | None = None
    attempt: Annotated[int, Field(ge=1, le=LARGEST), BeforeValidator(whole)] | None = None

    def seen(self) -> Seen:
        """The same for the control half."""
        return Seen(status=self.status, attempt=self.attempt)


class SeenVersion(Body):
    """The version of a row when it was looked at, 0 where there was none: where it is another now, nothing is changed (409)."""

    version: Annotated[int, Field(ge=0, le=LARGEST), BeforeValidator(whole)]

    def seen(self) -> Seen:
        """The same for the control half."""
        return Seen(version=self.version)


class SeenState(Body):
    """The state of a thing when it was looked at: where it is another now, nothing is changed (409)."""

    state: Annotated[str, Field(min_length=1, max_length=16), AfterValidator(plain_text)]

    def seen(self) -> Seen:
        """The same for the control half."""
        return Seen(state=self.state)


class ActsOnSeen(Protocol):
    """A body that may say how what it acts on was seen."""

    @property
    def expected(self) -> SeenRun | SeenVersion | SeenState | None: ...


def seen(body: ActsOnSeen | None) -> Seen | None:
    """What the body says was seen, for the control half; None where it says nothing."""
    return None if body is None or body.expected is None else body.expected.seen()


class GivenWindow(Body):
    """A span of event time, the end left out."""

    start: Moment
    end: Moment

    def window(self) -> Window:
        """The same for the control half. Raises ScheduleError where the end is not after the start."""
        return Window(self.start, self.end)
