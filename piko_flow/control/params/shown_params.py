"""Parameters as people see them: with stars for what may be a secret."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from piko_flow.control.flows.flow import Flow
from piko_flow.control.params.secret_fields import (
    SECRET,
    field_type,
    holds_secret,
    inner_type,
    shapes_in,
    unknown_may_be_secret,
)
from piko_flow.url_passwords import HIDDEN


def hidden(flow: Flow | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with stars for what the flow's model, or its name, says is a secret; also deeper inside."""
    return _hidden(None if flow is None else flow.params, values)


def _hidden(annotation: object, values: Mapping[str, Any]) -> dict[str, Any]:
    """`annotation` is the type that the values are of, or None where nothing is known of them."""
    mapped = inner_type(annotation, Mapping)
    shapes = [] if mapped is not None else list(shapes_in(annotation))
    strict = bool(shapes) and unknown_may_be_secret(annotation)
    shown: dict[str, Any] = {}
    for name, value in values.items():
        known = next((found for shape in shapes if (found := field_type(shape, name)) is not None), mapped)
        if SECRET.search(name) or (strict and known is None):
            shown[name] = HIDDEN
        else:
            shown[name] = _hidden_inside(known, value)
    return shown


def _hidden_inside(annotation: object, value: Any) -> Any:
    """What stands where something with a secret inside is expected, in another form, is hidden as a whole."""
    if holds_secret(annotation) and not (isinstance(value, (dict, list)) and any(shapes_in(annotation))):
        return HIDDEN
    if isinstance(value, list):
        return [_hidden_inside(inner_type(annotation, Collection) or annotation, item) for item in value]
    return _hidden(annotation, value) if isinstance(value, dict) else value
