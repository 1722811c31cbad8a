"""What stands at a place of a flow's parameters now: in the row's own text, or in the model that is made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, RootModel

from piko_flow.control.flows.flow import Flow
from piko_flow.control.params.exact_numbers import json_text
from piko_flow.control.params.field_names import names_of, own_name, read_names
from piko_flow.control.params.params import check_params
from piko_flow.control.params.revealed_values import NOWHERE, is_dataclass_value, revealed
from piko_flow.control.params.secret_fields import shapes_in
from piko_flow.control.params.shown_params import hidden
from piko_flow.errors import RequestRefused
from piko_flow.url_passwords import HIDDEN


@dataclass(frozen=True, slots=True)
class CurrentValue:
    """A value, NOWHERE for none, and the same as people see it.

    `annotation` is the type that its place has, None where that is not known. With `by_default` the model has the same
    value there when its name is left out.
    """

    value: Any
    shown: Any
    annotation: object = None
    by_default: bool = False

    def hidden(self) -> bool:
        """Whether there is one and people see stars for the whole of it."""
        return self.value is not NOWHERE and bool(self.shown == HIDDEN)

    def inside(self, name: str) -> CurrentValue:
        """What stands under the name; what is hidden as a whole is hidden everywhere."""
        value = self.value.root if isinstance(self.value, RootModel) else self.value
        if isinstance(value, Mapping):
            return CurrentValue(value.get(name, NOWHERE), self._shown_inside(name, name), self.annotation)
        if isinstance(value, BaseModel):
            return self._of_model(value, name)
        if is_dataclass_value(value) and name in (
            fields := {one.name: one for one in dataclasses.fields(value)}
        ):
            found, default = getattr(value, name), fields[name].default
            same = self._sure(value) and revealed(default) == revealed(found)
            return CurrentValue(found, self._shown_inside(name, name), fields[name].type, same)
        return CurrentValue(NOWHERE, NOWHERE)

    def items(self) -> Sequence[tuple[Any, CurrentValue]]:
        """Of a list its items as people see them, and what stands there; empty for others."""
        value = self.value.root if isinstance(self.value, RootModel) else self.value
        if not isinstance(value, (list, tuple, set, frozenset)) or not isinstance(self.shown, list):
            return []
        both = zip(value, self.shown, strict=False)
        return [(shown, CurrentValue(item, shown, self.annotation)) for item, shown in both]

    def _of_model(self, value: BaseModel, name: str) -> CurrentValue:
        model = type(value)
        own = own_name(model, (name,))
        field = model.model_fields.get(own)
        if field is None or name not in read_names(model):  # under another name it would not be read again
            return CurrentValue(NOWHERE, NOWHERE)
        found = getattr(value, own)
        same = own not in value.model_fields_set or (
            not field.is_required()
            and field.default_factory is None
            and revealed(field.default) == revealed(found)
        )
        shown = self._shown_inside(name, own)
        return CurrentValue(found, shown, field.annotation, same and self._sure(value))

    def _sure(self, value: Any) -> bool:
        """Whether what is given here can become of no other type than this value's."""
        return list(shapes_in(self.annotation)) == [type(value)]

    def _shown_inside(self, name: str, own: str) -> Any:
        if isinstance(self.shown, Mapping):
            return self.shown.get(name, self.shown.get(own, NOWHERE))
        return HIDDEN if self.shown == HIDDEN else NOWHERE


class CurrentParams:
    """The parameters in force: `base` is the row's values, empty where the model's defaults hold."""

    def __init__(self, flow: Flow, base: Mapping[str, Any]) -> None:
        self._flow, self._base = flow, base
        self._made = _made(flow, base)

    def under(self, name: str) -> list[CurrentValue]:
        """What stands under any name of this one's field: in the row, under the name that the model reads first, then
        in the model."""
        model = self._flow.params
        names = names_of(model, name) or [name]
        known = next((self._base[one] for one in names if one in self._base), NOWHERE)
        shown = NOWHERE if known is NOWHERE else hidden(self._flow, {name: known})[name]
        in_row = CurrentValue(known, shown)
        return [in_row] if self._made is None else [in_row, self._made.inside(names[0])]


def _made(flow: Flow, base: Mapping[str, Any]) -> CurrentValue | None:
    """What the model makes of the row; None without a model, and where it takes no such row."""
    try:
        made = check_params(flow, json_text(dict(base)) if base else None)
    except RequestRefused:  # nothing of it is in force, so nobody was shown it
        return None
    if not isinstance(made, BaseModel):
        return None
    return CurrentValue(made, hidden(flow, made.model_dump(mode="json")), flow.params)
