"""Stars in a secret's place mean the secret that is there: whoever sends back what was shown to him changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from piko_flow.control.field_names import Place, names_of, own_name
from piko_flow.control.flow import Flow
from piko_flow.control.params import ParamsRefused, told_place
from piko_flow.control.secret_fields import field_of
from piko_flow.control.shown_params import hidden
from piko_flow.store.records import ParamsVersion
from piko_flow.url_passwords import HIDDEN

PROBE = "\0"  # what no database keeps, and so nobody gives
NOWHERE = object()
RULE = f"{HIDDEN} in a secret's place keeps the secret that is there"
ADVICE = "Give the secret itself, or leave the name out"


def with_secrets(flow: Flow, given: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """The given values with the secrets of `base` wherever stars stand in a secret's place, also deeper inside.

    A field that `base` does not have is left out where the flow's model has a default for it. Items of a list are
    those of `base` that look the same with their secrets hidden, else those of the same place in a list of the same
    length. Raises RequestRefused where there is nothing that the stars could stand for.
    """
    if not has_stars(given):
        return dict(given)
    secret = _Secret(hidden(flow, _each(given, HIDDEN, PROBE)))
    filled: dict[str, Any] = {}
    for name, value in given.items():
        known = _known(flow, name, base)
        if value == HIDDEN and known is NOWHERE and secret.at((name,)) and _has_default(flow, name):
            continue
        shown = NOWHERE if known is NOWHERE else hidden(flow, {name: known})[name]
        filled[name] = _filled(flow, value, known, shown, (name,), secret)
    return filled


def without_kept(flow: Flow, given: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """As `with_secrets`, for what goes over `base` name by name: a whole field that is kept is left out."""
    filled = with_secrets(flow, given, base)
    return {name: value for name, value in filled.items() if value == given[name] or given[name] != HIDDEN}


def has_stars(value: Any) -> bool:
    """Whether stars stand anywhere in it."""
    return any(found == HIDDEN for found in _leaves(value))


def values_of(version: ParamsVersion | None) -> dict[str, Any]:
    """The values of a good version's own text; none for the model's defaults."""
    return {} if version is None or not version.text else dict(json.loads(version.text))


class _Secret:
    """Which places are secrets': those whose probe was hidden."""

    def __init__(self, shown: Any) -> None:
        self._shown = shown

    def at(self, path: Place) -> bool:
        found = self._shown
        for part in path:
            if found == HIDDEN:
                return True
            found = found[part]
        return bool(found == HIDDEN)


def _filled(flow: Flow, value: Any, known: Any, shown: Any, path: Place, secret: _Secret) -> Any:
    """`known` is what stands there now, and `shown` the same with its secrets hidden."""
    if value == HIDDEN and secret.at(path):
        return known if known is not NOWHERE and shown == HIDDEN else _refuse(flow, path)
    if isinstance(value, Mapping):
        return {
            name: _filled(flow, inner, _inside(known, name), _inside(shown, name), (*path, name), secret)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [
            _filled(flow, item, *_item(item, place, value, known, shown), (*path, place), secret)
            for place, item in enumerate(value)
        ]
    return value


def _item(item: Any, place: int, given: Sequence[Any], known: Any, shown: Any) -> tuple[Any, Any]:
    """The item of the list that is there now which this one stands for, and the same with its secrets hidden."""
    if not isinstance(known, list) or not isinstance(shown, list):
        return NOWHERE, NOWHERE
    alike = [at for at, one in enumerate(shown) if one == item and item != HIDDEN]
    if alike and place not in alike:
        place = alike[0]
    elif not alike and len(known) != len(given):
        return NOWHERE, NOWHERE
    return known[place], shown[place]


def _inside(value: Any, name: str) -> Any:
    """What is under the name; what is hidden as a whole is hidden everywhere."""
    return value.get(name, NOWHERE) if isinstance(value, Mapping) else HIDDEN if value == HIDDEN else NOWHERE


def _known(flow: Flow, name: str, base: Mapping[str, Any]) -> Any:
    """What stands there now, under whichever name of the field: the one that the model reads first."""
    names = names_of(flow.params, name) or [name]
    return next((base[one] for one in names if one in base), NOWHERE)


def _has_default(flow: Flow, name: str) -> bool:
    field = field_of(flow.params, name)
    return field is not None and not field.is_required()


def _each(value: Any, old: str, new: str) -> Any:
    """The value with another text in place of one."""
    if isinstance(value, Mapping):
        return {name: _each(inner, old, new) for name, inner in value.items()}
    if isinstance(value, list):
        return [_each(item, old, new) for item in value]
    return new if value == old else value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(inner)
    else:
        yield value


def _refuse(flow: Flow, path: Place) -> NoReturn:
    line = f"{HIDDEN} came, and no secret is in force there"
    raise ParamsRefused(
        places={path: line},
        own={path: own_name(flow.params, path)},
        what=f"params of {flow.name!r}",
        rule=RULE,
        came=f"{told_place(path)}: {line}",
        advice=ADVICE,
    )
