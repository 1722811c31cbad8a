"""Rows that are validated without a model being made of each, where nobody would see the models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

from piko_flow.dataflow.graph.boxes import Box
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Table
from piko_flow.dataflow.stages.transform import Parse

if TYPE_CHECKING:
    from pydantic import BaseModel

Rows = Sequence[tuple[Any, ...]]
OWN: Final = (
    "__init__",
    "__new__",
    "model_post_init",
    "__get_pydantic_core_schema__",
)
"""What a model may define to have a say in how it is made."""


def rows_of(plan: Plan, box: Box) -> Callable[[list[Any] | Table], Rows | None] | None:
    """What turns a list of dicts, or a table, into the rows that a Parse stage gives its sink; None where models have
    to be made.

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
    from pydantic import BaseModel, RootModel  # here and below: a slow import that only a Parse needs

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
    if any(name in vars(base) for base in bases for name in OWN) or _looks_around(
        model.__pydantic_core_schema__
    ):
        return False
    return all(
        field.alias is None
        and field.validation_alias is None
        and field.discriminator is None
        and field.init is not False
        and all(type(each).__module__.partition(".")[0] == "annotated_types" for each in field.metadata)
        for field in model.model_fields.values()
    )


def _looks_around(schema: Any) -> bool:
    """Whether a validator anywhere in a type is given the fields before it, which a row cannot give."""
    if isinstance(schema, dict):
        return schema.get("type") == "with-info" or any(map(_looks_around, schema.values()))
    return isinstance(schema, list | tuple) and any(map(_looks_around, schema))


def rows_by(model: type[BaseModel], names: Sequence[str]) -> Callable[[list[Any] | Table], Rows | None]:
    """What validates the fields of these names, all those of the model, a list at a time."""
    from pydantic import TypeAdapter

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
        except Exception:  # the careful loop finds the item
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
