"""A form for a flow's parameters, made from the JSON schema of its model, and what a filled one says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from piko_flow.control.flows.flow import Flow
from piko_flow.control.params.exact_numbers import read_json
from piko_flow.control.params.field_names import Place
from piko_flow.control.params.params import ParamsRefused
from piko_flow.control.params.secret_fields import SECRET, may_be_secret
from piko_flow.errors import RequestRefused
from piko_flow.ops.console.field_refused import got_told
from piko_flow.ops.console.forms import refuse
from piko_flow.url_passwords import HIDDEN

PREFIX = "p:"
WHOLE = "whole"
"""The field of a flow without a model: all of its parameters as one JSON object."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: how it is filled in, what it holds now, and what its model says of it.

    `kind` is text, number, flag, choice, secret or json; `none` says that it may be left empty for null. `standing` is
    what `value` shows as text, None where there is none.
    """

    name: str
    title: str
    kind: str
    value: str
    description: str = ""
    choices: tuple[str, ...] = ()
    none: bool = False
    limits: tuple[tuple[str, str], ...] = ()
    standing: Any = None


def fields_of(flow: Flow | None, values: Mapping[str, Any]) -> list[Field]:
    """The fields with these values, in the order of the model; a plain default stands where there is none of them."""
    if flow is None or flow.params is None:
        whole = dict(values)
        return [Field(WHOLE, "All parameters", "json", _text("json", whole), standing=whole)]
    schema = flow.params.model_json_schema(by_alias=False)
    properties, shared = schema.get("properties", {}), schema.get("$defs", {})
    return [
        _field(name, one, values[name] if name in values else _default(flow.params, name, one), shared)
        for name, one in properties.items()
    ]


def _default(model: type[BaseModel], name: str, schema: Mapping[str, Any]) -> Any:
    """What the model has for a name that is left out, where that is plain and may be no secret."""
    default = schema.get("default")
    return default if isinstance(default, str | int | float) and not may_be_secret(model, (name,)) else None


def read_changes(
    flow: Flow, form: Mapping[str, str], values: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """What the form says that differs from these values, None where nothing does; and what is wrong with each field
    that cannot be read.

    A secret that is left empty stays as it is. Of a flow without a model it is the whole.
    """
    changes, unread = dict[str, Any](), dict[str, str]()
    for field in fields_of(flow, values):
        sent = form.get(PREFIX + field.name)
        if field.kind == "flag":
            if sent is None and field.none and field.standing is None:
                continue  # a box that is not ticked is nobody's choice between false and null
            value: Any = sent is not None
        elif (
            sent is None or (field.kind == "secret" and not sent) or sent.replace("\r\n", "\n") == field.value
        ):
            continue
        else:
            try:
                value = _value(field, sent)
            except RequestRefused as error:
                unread[field.name] = f"{error.rule}; {got_told(error.got)}"
                continue
        if value != field.standing:
            changes[field.name] = value
    return changes.get(WHOLE) if flow.params is None else changes or None, unread


def unreadable(flow: Flow, fields: Mapping[str, str]) -> ParamsRefused:
    """What is told of a form with these fields that cannot be used, each with what is wrong in it."""
    got = "; ".join(f"{name}: {told}" for name, told in fields.items())
    places: dict[Place, str] = {(name,): told for name, told in fields.items()}
    return ParamsRefused(places=places, what=f"params of {flow.name!r}", rule="each can be read", got=got)


def to_type_again(flow: Flow | None, values: Mapping[str, Any], sent: Mapping[str, str]) -> dict[str, str]:
    """The fields in which something was typed that a page does not show again, by name, with their titles."""
    found = {}
    for field in fields_of(flow, values):
        posted = sent.get(PREFIX + field.name, "").replace("\r\n", "\n")
        if field.kind != "flag" and posted not in ("", field.value, as_sent(flow, field, sent).value):
            found[field.name] = field.title
    return found


def as_sent(flow: Flow | None, field: Field, sent: Mapping[str, str]) -> Field:
    """The field as it was filled in; what may hold a secret is not shown again."""
    posted = sent.get(PREFIX + field.name)
    if field.kind == "flag":
        return replace(field, value="true" if posted is not None else "false")
    if posted is None or field.kind == "secret" or HIDDEN in field.value or SECRET.search(posted):
        return field
    if flow is not None and flow.params is not None and may_be_secret(flow.params, (field.name,)):
        return field
    return replace(field, value=posted.replace("\r\n", "\n"))


def differences(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """The names that differ, with both values as JSON; empty where there is none."""
    one, two = old or {}, new or {}
    return [
        (name, _shown(one, name), _shown(two, name))
        for name in dict.fromkeys((*one, *two))
        if (name in one) != (name in two) or one.get(name) != two.get(name)
    ]


def _field(name: str, schema: Mapping[str, Any], value: Any, shared: Mapping[str, Any]) -> Field:
    options = schema.get("anyOf")
    none = isinstance(options, list) and {"type": "null"} in options
    told = schema
    if isinstance(options, list):
        others = [one for one in options if one != {"type": "null"}]
        told = others[0] if len(others) == 1 else {}
    if "$ref" in told:  # enums and other models stand beside the schema
        told = shared.get(str(told["$ref"]).rpartition("/")[2], {})
    kind, choices = _kind(told, value)
    text = "" if value is None or kind == "secret" else _text(kind, value)
    limits = tuple(
        (attribute, str(told[rule]))
        for rule, attribute in (("minimum", "min"), ("maximum", "max"), ("maxLength", "maxlength"))
        if rule in told and kind in ("number", "text")
    )
    description = str(schema.get("description", ""))
    title = name.replace("_", " ")
    return Field(name, title, kind, text, description, choices, none, limits, value)


def _kind(schema: Mapping[str, Any], value: Any) -> tuple[str, tuple[str, ...]]:
    if schema.get("format") == "password" or value == HIDDEN:
        return "secret", ()
    if isinstance(schema.get("enum"), list) and all(isinstance(one, str) for one in schema["enum"]):
        return "choice", tuple(schema["enum"])
    kinds = {"boolean": "flag", "integer": "number", "number": "number", "string": "text"}
    return kinds.get(str(schema.get("type")), "json"), ()


def _text(kind: str, value: Any) -> str:
    if kind == "json":
        return json.dumps(value, indent=2, ensure_ascii=False)
    return value if isinstance(value, str) else json.dumps(value)


def _value(field: Field, sent: str) -> Any:
    if field.none and not sent.strip():
        return None
    if field.kind in ("text", "choice", "secret"):
        return sent
    what, wanted = f"read the parameter {field.name!r}", "a number" if field.kind == "number" else "JSON"
    if not sent.strip():
        shape = {"[": "an empty list is []", "{": "an empty object is {}"}.get(field.value[:1], "")
        refuse(what, f"it is {wanted}", "it was left empty" + (f", and {shape}" if shape else ""))
    try:
        value = read_json(sent)
    except (ValueError, RecursionError) as error:
        refuse(what, f"it is {wanted}", f"got {sent[:60]!r}" if field.kind == "number" else where(error))
    if field.name == WHOLE and not isinstance(value, dict):
        refuse("read the parameters", "they are a JSON object", "got another value")
    return value


def where(error: ValueError | RecursionError) -> str:
    """Where a text stops being JSON; the text itself, which may have a secret in it, is not told."""
    if isinstance(error, json.JSONDecodeError):
        return f"what came is none from line {error.lineno}, character {error.colno} on"
    return "what came is none" if isinstance(error, ValueError) else "what came is nested too deep"


def _shown(values: Mapping[str, Any], name: str) -> str:
    return json.dumps(values[name], ensure_ascii=False) if name in values else ""
