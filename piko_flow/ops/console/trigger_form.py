"""The form that runs a flow: its fields for secrets, what a filled one says, and what of it a page may show again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from piko_flow.control.flows.flow import Flow
from piko_flow.control.params.exact_numbers import as_written
from piko_flow.control.params.secret_fields import SECRET, holds_secret, may_be_secret
from piko_flow.ops.console.field_refused import about
from piko_flow.ops.console.forms import refuse
from piko_flow.ops.console.params_form import WHOLE, Field, fields_of, where

PARAMS = "params"
SECRETS = "secret-"
"""Before the name of a parameter: the field for a secret of this run alone."""


def secrets_of(flow: Flow | None) -> list[Field]:
    """The parameters for which the form has a field that does not show what is typed."""
    return [one for one in fields_of(flow, {}) if one.kind == "secret" and one.name != WHOLE]


def given_of(flow: Flow, form: Mapping[str, str]) -> dict[str, Any] | None:
    """The parameters for this run; None for none. Raises FieldRefused for text that is no JSON object.

    What is no JSON is not told, as it may have a secret in it.
    """
    text = form.get(PARAMS, "").strip()
    with about(PARAMS):
        values = _object(text) if text else {}
    for field in secrets_of(flow):
        typed = form.get(SECRETS + field.name, "")
        if typed and field.name in values:
            with about(SECRETS + field.name):
                refuse(f"run {flow.name!r}", "a parameter comes once", "it came here, and in the JSON, too")
        if typed:
            values[field.name] = typed
    return values or None


def as_sent(flow: Flow | None, sent: Mapping[str, str]) -> str:
    """The text of the parameters as a page may show it again: without those that may be secret."""
    text = sent.get(PARAMS, "").replace("\r\n", "\n")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    model = None if flow is None else flow.params
    if not isinstance(values, dict):
        return "" if SECRET.search(text) or (model is not None and holds_secret(model)) else text
    kept = {
        name: value
        for name, value in values.items()
        if not SECRET.search(json.dumps({name: value}))
        and not (model is not None and may_be_secret(model, (name,)))
    }
    return text if kept == values else json.dumps(kept, ensure_ascii=False) if kept else ""


def to_type_again(flow: Flow | None, sent: Mapping[str, str]) -> dict[str, str]:
    """The fields in which something was typed that a page does not show again, by name, with their titles."""
    again = {}
    if as_sent(flow, sent) != sent.get(PARAMS, "").replace("\r\n", "\n"):
        again[PARAMS] = "parameters"
    return again | {SECRETS + one.name: one.title for one in secrets_of(flow) if sent.get(SECRETS + one.name)}


def _object(text: str) -> dict[str, Any]:
    try:
        values = as_written(text, orjson.loads(text))
    except orjson.JSONDecodeError as error:
        refuse("run a flow", "parameters are a JSON object", where(error))
    if not isinstance(values, dict):
        refuse("run a flow", "parameters are a JSON object", "got another JSON value")
    return values
