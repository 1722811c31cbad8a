"""The check that `validate=True` makes of a value, from the annotation of the function that takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

Check = Callable[[Any], Any]


def value_check(takes: Any) -> Check | None:
    """A function that gives the value as the annotation has it, or raises ValidationError; None where all pass.

    What Pydantic knows is validated (and converted) by it. Of any other class, also inside a list, a union
    or the like, the value must be an instance. What has neither a schema nor instances (a protocol that is
    not runtime_checkable, a name that cannot be found) is not checked.
    """
    if takes is Any or _without_instances(takes):
        return None
    from pydantic import ConfigDict, InstanceOf, PydanticUserError, TypeAdapter

    for config in (None, ConfigDict(arbitrary_types_allowed=True)):
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(takes, config=config)
        except PydanticUserError:  # it has no schema for a class, or (of a dataclass) takes no configuration
            continue
        return adapter.validate_python if adapter.pydantic_complete else None
    if not isinstance(takes, type):
        return None
    instance: TypeAdapter[Any] = TypeAdapter(cast(Any, InstanceOf)[takes])
    return instance.validate_python


def _without_instances(takes: Any) -> bool:
    protocol = getattr(takes, "_is_protocol", False)
    return bool(protocol) and not getattr(takes, "_is_runtime_protocol", False)
