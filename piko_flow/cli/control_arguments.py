"""The arguments and options that commands of the control half share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from piko_flow.planning.window import Window

Packages = Annotated[
    list[str] | None,
    typer.Option(
        "--package",
        "-p",
        help="A package, folder or file whose flows are discovered; may be given again. Without it those of the "
        "setting packages.",
        show_default=False,
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        help="URL of the database; without it that of the settings, else the file piko.db.",
        show_default=False,
    ),
]
InUtc = Annotated[
    bool,
    typer.Option(
        "--utc", help="Show times in UTC instead of the zone of this computer. JSON has UTC anyway."
    ),
]
OnlyFlow = Annotated[str | None, typer.Option("--flow", help="Only this flow's.", show_default=False)]
FlowName = Annotated[str, typer.Argument(metavar="FLOW", help="The name of a flow.", show_default=False)]
RunNumber = Annotated[int, typer.Argument(metavar="RUN", help="The number of a run.", show_default=False)]
BackfillNumber = Annotated[
    int, typer.Argument(metavar="NUMBER", help="The number of a backfill.", show_default=False)
]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many are listed at most.")]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        metavar="NAME=VALUE",
        help="One parameter; may be given again. The value is JSON where it reads as such, else text.",
        show_default=False,
    ),
]
ParamsObject = Annotated[
    str | None,
    typer.Option("--params", metavar="JSON", help="Parameters as one JSON object.", show_default=False),
]


def given_params(
    pairs: Sequence[str] | None, written: str | None, model: type[BaseModel] | None
) -> dict[str, Any]:
    """The parameters from NAME=VALUE pairs over those of a JSON object. Raises BadParameter for what is neither."""
    from piko_flow.control.params.exact_numbers import read_json

    values: dict[str, Any] = {}
    if written is not None:
        try:
            values = read_json(written)
        except ValueError as error:
            raise typer.BadParameter(f"--params is a JSON object: {error}") from None
        if not isinstance(values, dict):
            raise typer.BadParameter("--params is a JSON object, in braces")
    for pair in pairs or ():
        name, separator, text = pair.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE")
        values[name] = value_of(name, text, model)
    return values


def value_of(name: str, text: str, model: type[BaseModel] | None) -> Any:
    """A value from a command line: JSON where it is such, unless the model's field takes the text and not that."""
    from piko_flow.control.params.exact_numbers import as_the_model_reads, read_json

    try:
        value = read_json(text)
    except ValueError:
        return text
    field = None if model is None else model.model_fields.get(name)
    if field is None or isinstance(value, str):
        return value
    from pydantic import TypeAdapter, ValidationError

    kind: Any = field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    for candidate in (value, text):
        try:
            adapter.validate_json(json.dumps(as_the_model_reads(kind, candidate)))
        except ValidationError:
            continue
        return candidate
    return value


def moment_of(text: str, zone: str, option: str) -> datetime:
    """An instant from a command line; without an offset it is a local time of the zone."""
    from piko_flow.errors import ScheduleError
    from piko_flow.planning.moment import read_moment
    from piko_flow.planning.zones import find_zone

    try:
        return read_moment(text, find_zone(zone), option)
    except ScheduleError as error:
        raise typer.BadParameter(str(error)) from None


def window_of(text: str, zone: str, option: str) -> Window:
    """A span from `A..B`, the end left out; without offsets both are local times of the zone."""
    from piko_flow.errors import ScheduleError
    from piko_flow.planning.window import Window

    first, separator, last = text.partition("..")
    if not separator:
        raise typer.BadParameter(f"{option}: a span is written START..END, got {text!r}")
    try:
        return Window(moment_of(first, zone, option), moment_of(last, zone, option))
    except ScheduleError as error:
        raise typer.BadParameter(f"{option}: {error}") from None
