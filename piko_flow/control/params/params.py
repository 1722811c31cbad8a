"""A run's parameters: the flow's defaults, under the row's values, under those given with the trigger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from piko_flow.control.flows.flow import Flow
from piko_flow.control.params.exact_numbers import as_the_model_reads, as_written
from piko_flow.control.params.field_names import Place, overlaid, own_name
from piko_flow.control.params.secret_fields import SECRET, field_of, holds_secret, may_be_secret
from piko_flow.control.params.unknown_names import UnknownName, unknown_names
from piko_flow.counting import are
from piko_flow.errors import RequestRefused, describe_error, shorten
from piko_flow.url_passwords import without_url_passwords

SHOWN = 60  # characters of a value that came
TOLD = 5  # fields that one message tells of
MOST = 20  # places that are told each by itself
RAISED = ("value_error", "assertion_error")
TELLING = (*RAISED, "union_tag_invalid")  # kinds of errors that may tell what came
_JSON: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="constants"))


class ParamsRefused(RequestRefused):
    """Parameters do not fit the flow's model.

    `places` has what is wrong by where that is in the parameters, () for the whole; `own` has for each place the own
    name of its field, where that may be another one. `field` is where they stood in what was asked, empty where that is
    not known, and `given` which names they had there.
    """

    def __init__(
        self,
        *,
        places: Mapping[Place, str],
        what: str,
        rule: str,
        got: str,
        advice: str = "",
        own: Mapping[Place, str] | None = None,
    ) -> None:
        super().__init__(what=what, rule=rule, got=got, advice=advice)
        self.places, self.own = places, own or {}
        self.field, self.given = "", frozenset[str]()

    def fields(self) -> dict[str, str]:
        """What is wrong in each field, by its own name; empty where it is the whole that is wrong."""
        found: dict[str, list[str]] = {}
        for place, line in self.places.items():
            if not place:
                return {}
            inside = f"{told_place(place[1:])}: " if place[1:] else ""
            found.setdefault(self.own.get(place, str(place[0])), []).append(inside + line)
        return {name: "; ".join(lines) for name, lines in found.items()}


def told_place(place: Place) -> str:
    """The place in words, with names that are too long cut."""
    return ".".join(map(cut_name, place)) or "the whole"


def cut_name(name: str | int) -> str:
    """The name, cut where it is too long to be told."""
    text = str(name)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def check_params(
    flow: Flow, text: str | None, overrides: str | None = None, *, schema_version: int | None = None
) -> Any:
    """The parameters as the flow's model; a dictionary where the flow has none. A fresh value each time.

    `text` is the row's JSON, None where there is no row: then the model's defaults hold. `overrides` is JSON over
    it, field by field under whichever of its names. Raises RequestRefused with each field that is wrong, the rule and
    what came; a value that may be a secret is not shown.
    """
    if text is not None and flow.schema_version is not None and schema_version is not None:
        _check_schema(flow, schema_version)
    model = flow.params
    if text is None and overrides is None:
        return {} if model is None else _made(flow, model, None)
    values = overlaid(flow, _object(flow, text, "the row"), _object(flow, overrides, "what was given"))
    return values if model is None else _made(flow, model, values)


def check_names(flow: Flow, given: Mapping[str, Any]) -> None:
    """Raises RequestRefused for a name that the flow's model does not have, also where the model would ignore it.

    So for names inside of values, where the model there is known. What `unknown_names` says nothing of is asked only
    by `check_params`.
    """
    unknown = [] if flow.params is None else list(unknown_names(flow.params, given))
    if unknown:
        raise _unknown(flow, unknown)


def ignored_names(flow: Flow, text: str) -> str:
    """Which names of a row's JSON text the flow's model does not have and ignores, and the nearest that it has.

    Empty where there are none, and where the text is no JSON object.
    """
    if flow.params is None:
        return ""
    try:
        unknown = list(unknown_names(flow.params, _object(flow, text, "the row"), read=True))
    except RequestRefused:
        return ""
    if not unknown:
        return ""
    told = [
        shorten(told_place(one.place), SHOWN) + (f" (did you mean {one.nearest!r}?)" if one.nearest else "")
        for one in unknown[:TOLD]
    ]
    models = _models(unknown)
    ignore = "do not have, and so ignore" if " and " in models else "does not have, and so ignores"
    return f"the {models} {ignore}: {', '.join(told)}{_more(unknown)}"


def _models(unknown: list[UnknownName]) -> str:
    """The models of the names that are told."""
    *first, last = dict.fromkeys(one.model for one in unknown[:TOLD])
    return f"models {', '.join(first)} and {last}" if first else f"model {last}"


def _more(unknown: list[UnknownName]) -> str:
    return f" and {len(unknown) - TOLD} more" if len(unknown) > TOLD else ""


def _unknown(flow: Flow, unknown: list[UnknownName]) -> ParamsRefused:
    """All names that the models do not have, each with the nearest that its model has."""
    told = unknown[:TOLD]
    meant = {one.place: f"Did you mean {one.nearest!r}?" for one in unknown[:MOST] if one.nearest}
    names = ", ".join(shorten(told_place(one.place), SHOWN) for one in told)
    return ParamsRefused(
        places={
            one.place: f"no name of the model. {meant.get(one.place, one.known_told)}"
            for one in unknown[:MOST]
        },
        what=f"params of {flow.name!r}",
        rule=f"params have names of the {_models(unknown)}",
        got=f"{names}{_more(unknown)} {are(len(unknown))} none of them",
        advice=" ".join(dict.fromkeys(meant.values()))
        or "; ".join(dict.fromkeys(one.known_told for one in told)),
    )


def refusal_of(flow: Flow, text: str, schema_version: int) -> str:
    """Why a row cannot be used for the flow; empty if it can."""
    try:
        check_params(flow, text, schema_version=schema_version)
    except RequestRefused as error:
        return str(error)
    return ""


def _check_schema(flow: Flow, schema_version: int) -> None:
    if schema_version != flow.schema_version:
        raise RequestRefused(
            what=f"params of {flow.name!r}",
            rule=f"the flow takes rows of schema_version {flow.schema_version}",
            got=f"the row has {schema_version}",
            advice="Write the row anew in the form that the flow expects",
        )


def _object(flow: Flow, text: str | None, whose: str) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        read = _JSON.validate_json(text)
    except ValidationError as error:
        got = f"{whose} is no JSON ({error.errors(include_url=False)[0]['msg']})"
        raise _refused(flow, "params are a JSON object", got) from None
    if not isinstance(read, dict):
        raise _refused(flow, "params are a JSON object", f"{whose} is a {_kind(read)}")
    written = as_written(text, read)
    # Each run comes by here, and looking at the type of each value takes far longer than reading them.
    values: dict[str, Any] = read if written is read else as_the_model_reads(flow.params, written)
    return values


def _made(flow: Flow, model: type[BaseModel], values: dict[str, Any] | None) -> BaseModel:
    try:
        if values is None:
            return model()
        return model.model_validate_json(_JSON.dump_json(values))
    except ValidationError as error:
        raise _misfit(flow, model, error, values) from None
    except Exception as error:  # a validator of the user's may raise anything
        got = f"a validator raised {describe_error(error, 200)}"
        raise _refused(flow, f"params fit the model {model.__name__}", got) from error


def _misfit(
    flow: Flow, model: type[BaseModel], error: ValidationError, values: dict[str, Any] | None
) -> ParamsRefused:
    """What is wrong, place by place; `values` are None where there were none."""
    found = error.errors()  # those of Pydantic itself have a URL, with its words alone
    lines = [f"{told_place(one['loc'])}: {_line(model, one, values)}" for one in found[:TOLD]]
    more = len(found) - len(lines)
    places, own = dict[Place, str](), dict[Place, str]()
    for one in found[:MOST]:
        place, line = _place(one, values), _line(model, one, values)
        if line not in places.get(place, ""):
            places[place] = f"{places[place]}; {line}" if place in places else line
        own[place] = own_name(model, one["loc"])
    return ParamsRefused(
        places=places,
        own=own,
        what=f"params of {flow.name!r}",
        rule=f"params fit the model {model.__name__}",
        got="; ".join(lines) + (f"; and {more} more" if more else ""),
        advice="" if values is not None else "Write its row, or give the fields a default",
    )


def _place(error: Any, values: Any) -> Place:
    """Where in the values the error is: without what Pydantic names of a union or a key, which nobody gave."""
    found, at, path = list[str | int](), values, error["loc"]
    for depth, part in enumerate(path):
        inside = part in at if isinstance(at, dict) else isinstance(at, list) and part in range(len(at))
        if inside or not depth or (error["type"] == "missing" and depth + 1 == len(path)):
            found.append(part)
        at = at[part] if inside else at
    return tuple(found)


def _line(model: type[BaseModel], error: Any, values: Mapping[str, Any] | None) -> str:
    """What is wrong with one field: the rule, and what came unless it may be a secret."""
    path, got, rule = error["loc"], error["input"], str(error["msg"])
    hidden = may_be_secret(model, path)
    if hidden and ("url" not in error or error["type"] in TELLING):
        if path:
            return "its value is not accepted"
        if holds_secret(model) or _has_secret_name(model, values or {}):
            return "its value is not accepted (the reason is not shown: it may quote a secret)"
    if error["type"] in RAISED:  # what a validator of the user's said, without what Pydantic puts before it
        rule = rule.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if error["type"] == "missing" or hidden or isinstance(got, (dict, list)):
        return without_url_passwords(rule)
    return f"{without_url_passwords(rule)}, got {shorten(got, SHOWN)}"


def _has_secret_name(model: type[BaseModel], values: Mapping[str, Any]) -> bool:
    """Whether there is a name that the model does not know, or one, however deep, that speaks of a secret."""
    return any(field_of(model, name) is None for name in values) or SECRET.search(repr(values)) is not None


def _kind(value: object) -> str:
    names = {list: "list", str: "text", bool: "true or false", int: "number", float: "number"}
    return names.get(type(value), "null")


def _refused(flow: Flow, rule: str, got: str, advice: str = "") -> RequestRefused:
    return RequestRefused(what=f"params of {flow.name!r}", rule=rule, got=got, advice=advice)
