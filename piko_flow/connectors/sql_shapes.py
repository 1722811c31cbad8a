"""Rows as the items that a source gives: dicts, tuples or models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from pydantic import AwareDatetime, BaseModel, NaiveDatetime

from piko_flow.connectors.sql_rows import Rows
from piko_flow.dataflow.stages.source import Reject


@dataclass(frozen=True)
class Shape:
    """`kind` is dict, tuple or a model's class; `columns` are those that were asked for, none: all that come."""

    kind: type
    columns: tuple[str, ...] = ()

    def items(self, names: tuple[str, ...], rows: Rows, reject: Reject) -> list[Any]:
        """The items for the rows, in order; what a model refuses is rejected."""
        if self.columns and len(names) > len(self.columns):
            rows = [row[: len(self.columns)] for row in rows]
            names = names[: len(self.columns)]
        if self.kind is tuple:
            return list(rows) if type(rows[0]) is tuple else list(map(tuple, rows))
        if self.kind is dict:
            return [dict(zip(names, row)) for row in rows]  # noqa: B905  # both are of the statement's columns
        return self._models(names, rows, reject)

    def _models(self, names: tuple[str, ...], rows: Rows, reject: Reject) -> list[Any]:
        assert issubclass(self.kind, BaseModel)
        make, moments = self.kind.model_validate, moments_of(self.kind)
        made = []
        for row in rows:
            values = dict(zip(names, row, strict=True))
            for name in moments:
                if name in values:
                    values[name] = _in_utc(values[name])
            try:
                made.append(make(values))
            except ValueError as error:
                reject(values, error)
        return made


def type_of(shape: Shape) -> Any:
    """The type of the items, as it is compared with what the next stage takes."""
    if shape.kind is dict:
        return dict[str, Any]
    return tuple[Any, ...] if shape.kind is tuple else shape.kind


def moments_of(model: type[BaseModel]) -> list[str]:
    """The fields that hold instants: what databases keep of them has no zone and is UTC."""
    return [
        name for name, field in model.model_fields.items() if _is_moment(field.annotation, field.metadata)
    ]


def _is_moment(annotation: Any, metadata: Sequence[Any]) -> bool:
    if annotation is NaiveDatetime or NaiveDatetime in metadata:
        return False
    return any(one is AwareDatetime or one is datetime for one in (annotation, *get_args(annotation)))


def _in_utc(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value  # the model says what is wrong with it
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
