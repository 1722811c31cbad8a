"""What a sink writes to: a table, its columns, and where in an item their values are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel

from piko_flow.connectors.refusing import Refuse

Mode = Literal["insert", "upsert", "replace_window"]
MODES: Final = ("insert", "upsert", "replace_window")


@dataclass(frozen=True)
class SqlTable:
    """A table as a sink sees it.

    `attributes` are the names that items have for the columns, in the same order. `types` are the SQLAlchemy types
    of columns that are known, by name: what a model of SQLModel reads back must be written in its way.
    """

    name: str
    columns: tuple[str, ...]
    attributes: tuple[str, ...]
    mode: Mode
    key: tuple[str, ...] = ()
    window_column: str | None = None
    types: Mapping[str, Any] = field(default_factory=dict)

    @property
    def window_place(self) -> int:
        """Where in a row the value is that decides to which window it belongs."""
        assert self.window_column is not None
        return self.columns.index(self.window_column)


def make_table(
    model: type | None,
    *,
    table: str | None,
    columns: Sequence[str] | None,
    key: str | Sequence[str] | None,
    mode: Mode | None,
    window_column: str | None,
    refuse: Refuse,
) -> SqlTable:
    """The table for the arguments of a sink; whatever does not fit together is refused."""
    known = _known_columns(model, refuse)
    name = table or known.name
    if not name:
        refuse("it needs the table to write to", "got none", 'Give table="orders", or a SQLModel class')
    chosen = tuple(known.attributes) if columns is None else _names("columns", columns, refuse)
    if not chosen:
        refuse("it needs the columns", "got none", 'Give a model, or columns=["id", "amount"]')
    if model is not None and (unknown := [one for one in chosen if one not in known.attributes]):
        there = ", ".join(known.attributes)
        refuse(f"columns are fields of {model.__name__}: {there}", f"got {unknown[0]!r}", "")
    keys = () if key is None else _names("key", key, refuse)
    mode = mode or ("upsert" if keys else "insert")
    columns_of = {attribute: known.attributes.get(attribute, attribute) for attribute in chosen}
    _check(chosen, mode, keys, window_column, refuse)
    return SqlTable(
        name=name,
        columns=tuple(columns_of.values()),
        attributes=chosen,
        mode=mode,
        key=tuple(columns_of[one] for one in keys),
        window_column=None if window_column is None else columns_of[window_column],
        types={columns_of[one]: known.types[one] for one in chosen if one in known.types},
    )


def _check(
    chosen: tuple[str, ...], mode: str, keys: tuple[str, ...], window_column: str | None, refuse: Refuse
) -> None:
    there = ", ".join(chosen)
    if mode not in MODES:
        refuse(f"mode is one of {', '.join(MODES)}", f"got {mode!r}", "")
    for one in keys:
        if one not in chosen:
            refuse(f"key names columns that are written: {there}", f"got {one!r}", "")
    if mode == "upsert" and not keys:
        refuse("an upsert needs the key under which a row is replaced", "got none", 'Give key="id"')
    if mode == "insert" and keys:
        refuse("an insert has no key", f"got key={keys!r}", 'Leave one of them out, or say mode="upsert"')
    if (mode == "replace_window") != (window_column is not None):
        got = (
            "got none" if window_column is None else f"got window_column={window_column!r} with mode={mode!r}"
        )
        refuse('mode="replace_window" and window_column belong together', got, "")
    if window_column is not None and window_column not in chosen:
        refuse(f"window_column is one that is written: {there}", f"got {window_column!r}", "")


@dataclass
class _Known:
    name: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    types: dict[str, Any] = field(default_factory=dict)


def _known_columns(model: type | None, refuse: Refuse) -> _Known:
    """What a class tells: the table of a SQLModel class, else the fields of a model or dataclass."""
    if model is None:
        return _Known()
    if not isinstance(model, type):
        refuse("its first argument is the class of its items", f"got {model!r:.80}", "")
    if getattr(model, "__table__", None) is not None:
        from sqlalchemy import inspect

        mapper: Any = inspect(model)
        parts = {one.key: one.columns[0] for one in mapper.column_attrs}
        local = mapper.local_table
        schema = f"{local.schema}." if local.schema else ""
        return _Known(
            f"{schema}{local.name}",
            {key: column.name for key, column in parts.items()},
            {key: column.type for key, column in parts.items()},
        )
    if issubclass(model, BaseModel):
        return _Known(attributes={name: name for name in model.model_fields})
    if dataclasses.is_dataclass(model):
        return _Known(attributes={each.name: each.name for each in dataclasses.fields(model)})
    return refuse("its items are models, dataclasses, dicts or tuples", f"got {model.__name__}", "")


def _names(option: str, given: str | Sequence[str], refuse: Refuse) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        refuse(f"{option} are different names", f"got {given!r:.80}", "")
    return names
