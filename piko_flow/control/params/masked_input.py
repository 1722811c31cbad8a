"""Stars in a secret's place mean the secret that is there: whoever sends back what was shown to him changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from piko_flow.control.flows.flow import Flow
from piko_flow.control.params.current_values import CurrentParams, CurrentValue
from piko_flow.control.params.field_names import Place, own_name
from piko_flow.control.params.params import ParamsRefused, told_place
from piko_flow.control.params.revealed_values import NOWHERE, revealed
from piko_flow.control.params.secret_fields import field_of
from piko_flow.control.params.shown_params import hidden
from piko_flow.store.records import ParamsVersion
from piko_flow.url_passwords import HIDDEN

PROBE = "\0"  # what no database keeps, and so nobody gives
RULE = f"{HIDDEN} in a secret's place keeps the secret that is there"
ADVICE = "Give the secret itself, or leave the name out"


def with_secrets(flow: Flow, given: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """The given values with the secrets in force wherever stars stand in a secret's place, also deeper inside.

    In force are those of `base`, and where it has none those that the flow's model has by default. A name is left out
    where the model has the same secret without it. Items of a list are those in force that look the same with their
    secrets hidden, else those of the same place in a list of the same length. Raises RequestRefused where there is
    nothing that the stars could stand for.
    """
    if not has_stars(given):
        return dict(given)
    secret, now = _Secret(hidden(flow, _each(given, HIDDEN, PROBE))), CurrentParams(flow, base)
    filled: dict[str, Any] = {}
    for name, value in given.items():
        there = now.under(name)
        known = any(one.value is not NOWHERE for one in there)
        if value == HIDDEN and not known and secret.at((name,)) and _has_default(flow, name):
            continue
        found = _filled(flow, value, there, (name,), secret)
        if found is not NOWHERE:
            filled[name] = found
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


def _filled(flow: Flow, value: Any, there: Sequence[CurrentValue], path: Place, secret: _Secret) -> Any:
    """`there` is what stands at its place now, the first that is hidden first; NOWHERE for a name to leave out."""
    if value == HIDDEN and secret.at(path):
        kept = next((one for one in there if one.hidden()), None)
        if kept is not None and kept.by_default:
            return NOWHERE
        found = NOWHERE if kept is None else revealed(kept.value)
        return _refuse(flow, path) if found is NOWHERE else found
    if isinstance(value, Mapping):
        filled = {
            name: _filled(flow, inner, [one.inside(name) for one in there], (*path, name), secret)
            for name, inner in value.items()
        }
        return {name: inner for name, inner in filled.items() if inner is not NOWHERE}
    if isinstance(value, list):
        return [
            _filled(flow, item, _item(item, place, value, there), (*path, place), secret)
            for place, item in enumerate(value)
        ]
    return value


def _item(item: Any, place: int, given: Sequence[Any], there: Sequence[CurrentValue]) -> list[CurrentValue]:
    """What the item of a list stands for, in each of the lists that are there now.

    One that looks the same in any of them is of the same place in the others of that length.
    """
    lists = [found for one in there if (found := one.items())]
    length = len(given)
    for found in lists:
        alike = [at for at, (shown, _) in enumerate(found) if shown == item and item != HIDDEN]
        if alike:
            place, length = place if place in alike else alike[0], len(found)
            break
    return [found[place][1] for found in lists if len(found) == length]


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
    line = f"got {HIDDEN}, and no secret is in force there"
    raise ParamsRefused(
        places={path: line},
        own={path: own_name(flow.params, path)},
        what=f"params of {flow.name!r}",
        rule=RULE,
        got=f"{told_place(path)}: {line}",
        advice=ADVICE,
    )
