"""Under which names a model reads a field, and values that go over others field by field, whatever their names."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NoReturn

from pydantic import AliasChoices, AliasPath, BaseModel, RootModel
from pydantic.fields import FieldInfo

from piko_flow.control.flows.flow import Flow
from piko_flow.errors import RequestRefused, shorten

Place = tuple[str | int, ...]


def read_names(model: type[BaseModel]) -> set[str]:
    """Names whose whole value the model reads into a field: not a field's own name where it takes its alias alone."""
    return {name for places in _places(model).values() for name in _whole(places)}


def own_name(model: type[BaseModel] | None, place: Place) -> str:
    """The own name of the field that the model reads here, or further out; else the first name of the place."""
    for own, places in ({} if model is None else _places(model)).items():
        if any(place[: len(one)] == one for one in places):
            return own
    return str(place[0]) if place else ""


def names_of(model: type[BaseModel] | None, name: str) -> list[str]:
    """All names of the field that has this one: those that the model reads first, in its order; none without a field."""
    if model is None or issubclass(model, RootModel):
        return []
    places = _places(model)
    fields = _fields(places)
    return _names(fields[name], places, fields) if name in fields else []


def overlaid(flow: Flow, base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the changes over it, so that the flow's model reads each changed field as it was changed.

    A change takes the place of the field's value under any of its names, also of one inside another value. A name that
    the model does not read stands for the field of that name and is written as one that it reads. Of several names of
    one field in the changes the one that the model reads first holds. Raises RequestRefused where the model reads a
    field only inside another value, which is not there.
    """
    over = dict(base)
    if flow.params is None or issubclass(flow.params, RootModel):
        return {**over, **changes}
    places = _places(flow.params)
    fields = _fields(places)
    for name, value in changes.items():
        own = fields.get(name)
        if own is None:
            over[name] = value
            continue
        read, names = _whole(places[own]), _names(own, places, fields)
        if name != next(one for one in names if one in changes):
            continue
        inside = next((one for one in places[own] if len(one) > 1 and _is_there(over, one)), None)
        if inside is None and not read:
            _refuse(flow, name, places[own])
        written = None if inside is not None else name if name in read else read[0]
        for other in names:
            if other != written:
                over.pop(other, None)
        if written is not None:
            over[written] = value
        elif inside is not None:
            over[str(inside[0])] = _replaced(over[str(inside[0])], inside[1:], value)
    return over


def _places(model: type[BaseModel]) -> dict[str, list[Place]]:
    """Of each field where the model looks for its value, in that order."""
    config = model.model_config
    by_name = bool(config.get("validate_by_name") or config.get("populate_by_name"))
    by_alias = config.get("validate_by_alias") is not False
    return {own: _of_field(own, field, by_name, by_alias) for own, field in model.model_fields.items()}


def _of_field(own: str, field: FieldInfo, by_name: bool, by_alias: bool) -> list[Place]:
    alias = field.validation_alias
    if alias is None or not by_alias:
        return [(own,)]
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    found: list[Place] = [tuple(one.path) if isinstance(one, AliasPath) else (one,) for one in choices]
    return [*found, (own,)] if by_name and (own,) not in found else found


def _whole(places: list[Place]) -> list[str]:
    return [str(place[0]) for place in places if len(place) == 1]


def _fields(places: Mapping[str, list[Place]]) -> dict[str, str]:
    """The field of each name; a name that is read is of the field that it is read into."""
    read = {name: own for own in places for name in _whole(places[own])}
    return {own: own for own in places} | read


def _names(own: str, places: Mapping[str, list[Place]], fields: Mapping[str, str]) -> list[str]:
    read = _whole(places[own])
    return read if own in read or fields[own] != own else [*read, own]


def _is_there(values: Any, place: Place) -> bool:
    at: Any = values
    for part in place:
        if not isinstance(at, (dict, list)):
            return False
        inside: Any = at  # of either, since a part that is none of this kind is not there
        try:
            at = inside[part]
        except (LookupError, TypeError):
            return False
    return True


def _replaced(values: Any, place: Place, value: Any) -> Any:
    """A copy with another value at this place, which is there."""
    if not place:
        return value
    made = copy.copy(values)
    made[place[0]] = _replaced(values[place[0]], place[1:], value)
    return made


def _refuse(flow: Flow, name: str, places: list[Place]) -> NoReturn:
    inside = shorten(str(places[0][0]))
    raise RequestRefused(
        what=f"params of {flow.name!r}",
        rule=f"a field is given where the model reads it, and {shorten(name)} is read inside {inside} alone",
        got=f"{inside} is not there",
        advice=f"Give {inside} with it inside",
    )
