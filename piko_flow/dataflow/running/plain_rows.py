"""Rows that are validated without a model being made of each, where nobody would see the models."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Annotated, Any, Final

from pydantic import BaseModel, RootModel, TypeAdapter

from piko_flow.dataflow.graph import Box
from piko_flow.dataflow.running.plan import Plan
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Table
from piko_flow.dataflow.stages.transform import Parse

Rows = Sequence[tuple[Any, ...]]
FIRST_GENERATION: Final = 50_000  # objects; most of those that such a loop makes are gone by then
OWN: Final = (
    "__init__",
    "__new__",
    "model_post_init",
    "__get_pydantic_core_schema__",
)
"""What a model may define to have a say in how it is made."""


def rows_of(plan: Plan, box: Box) -> Callable[[list[Any] | Table], Rows | None] | None:
    """What turns a list of dicts, or a table, into the rows that a Parse stage gives its sink; None where models have to be made.

    Rows are the values of the model's fields in the order that the sink wants, validated as the model's. For a list
    with an item that is no dict of all its fields, or is refused, the function gives None.
    """
    stage = box.stage
    following = [plan.graph.boxes[edge.end].stage for edge in plan.graph.out_of(box.number)]
    if not isinstance(stage, Parse) or len(following) != 1 or plan.options.validate:
        return None
    sink = following[0]
    if not isinstance(sink, Sink) or sink.target is None or sink.options.on_error != "fail":
        return None
    model = stage.model
    names = sink.copy_target().row_fields(model) if is_plain(model) else ()
    return rows_by(model, tuple(names)) if names else None


def is_plain(model: Any) -> bool:
    """Whether nothing but the types of its fields has a say in what a model accepts, and what it makes of it."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)) or issubclass(model, RootModel):
        return False
    decorators = model.__pydantic_decorators__
    deciding = (
        decorators.validators,
        decorators.field_validators,
        decorators.root_validators,
        decorators.model_validators,
    )
    if any(deciding) or model.model_config or not model.__pydantic_complete__ or not model.model_fields:
        return False
    bases = model.__mro__[: model.__mro__.index(BaseModel)]
    if any(name in vars(base) for base in bases for name in OWN):
        return False
    return all(
        field.alias is None
        and field.validation_alias is None
        and field.discriminator is None
        and field.init is not False
        and all(type(each).__module__.partition(".")[0] == "annotated_types" for each in field.metadata)
        for field in model.model_fields.values()
    )


def rows_by(model: type[BaseModel], names: Sequence[str]) -> Callable[[list[Any] | Table], Rows | None]:
    """What validates the fields of these names, all those of the model, a list at a time."""
    kinds = [model.model_fields[name] for name in names]
    types = tuple(
        Annotated[(kind.annotation, *kind.metadata)] if kind.metadata else kind.annotation for kind in kinds
    )
    check = TypeAdapter(list[tuple[types]]).validate_python  # type: ignore[valid-type]
    pick = _picker(names)

    def rows(items: list[Any] | Table) -> Rows | None:
        try:
            made: Rows
            if isinstance(items, Table):
                made = check(_in_order(items, names))
            elif set(map(type, items)) != {dict}:
                return None
            else:
                made = check(list(map(pick, items)))
        except (KeyError, ValueError):
            return None
        return made

    return rows


def _in_order(table: Table, names: Sequence[str]) -> Sequence[Any]:
    """The table's rows with the columns of these names. Raises ValueError where one is not there."""
    if tuple(table.columns) == tuple(names):
        return table.rows
    return list(map(_picker([table.columns.index(name) for name in names]), table.rows))


def _picker(keys: Sequence[Any]) -> Callable[[Any], Any]:
    return itemgetter(*keys) if len(keys) > 1 else lambda item: (item[keys[0]],)


class _Loops:
    """How many loops are at work for which fewer collections are enough, and what was in force before the first."""

    count = 0
    before: tuple[int, int, int] = (0, 0, 0)


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Collect garbage in cycles more seldom while the block is open: what it makes has none and goes by itself."""
    if _Loops.count == 0:
        _Loops.before = gc.get_threshold()
        first, *others = _Loops.before
        if first:  # else a person has switched it off
            gc.set_threshold(max(first, FIRST_GENERATION), *others)
    _Loops.count += 1
    try:
        yield
    finally:
        _Loops.count -= 1
        if _Loops.count == 0:
            gc.set_threshold(*_Loops.before)
