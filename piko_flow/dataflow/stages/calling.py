"""Checks of the functions that stages call, made where the stage is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from piko_flow.dataflow.graph.function import Signature, misfit, signature_of
from piko_flow.dataflow.graph.generics import class_of
from piko_flow.dataflow.stages.stage import Stage, describe

GENERATORS = ("generator", "async_generator")


def keep_function(stage: Stage, function: Any, name: str | None, *, role: str = "function") -> None:
    """Store a stage's function, name and signature; refuse what is no function."""
    if not callable(function) or isinstance(function, Stage):
        stage._describe(name=name, fallback=type(stage).__name__.lower())
        stage.refuse(f"it needs a {role} of one item", f"got {describe(function)}")
    signature = signature_of(function)
    stage._describe(name=name, fallback=signature.name)
    stage._keep(function=function, signature=signature)


def check_call(
    stage: Stage, function: Callable[..., Any], uses: Mapping[str, Any] = {}, *, role: str = "function"
) -> None:
    """Refuse a function that cannot be called with one item and the resources named in `uses`."""
    signature = signature_of(function)
    check_uses(stage, signature, uses)
    if reason := misfit(function, 1, uses):
        stage.refuse(
            f"its {role} is called with one item" + (f" and {', '.join(uses)}=" if uses else ""),
            f"{signature.name}: {reason}",
            "Give other parameters a default, fill them with functools.partial, or name resources in uses=",
        )
    check_awaiting(stage, signature, role=role)


def check_awaiting(stage: Stage, signature: Signature, *, role: str = "function") -> None:
    """Refuse a plain function that is annotated to return something that nobody would await."""
    returned = class_of(signature.returns)
    if signature.shape == "plain" and isinstance(returned, type) and issubclass(returned, Awaitable):
        stage.refuse(
            f"its {role} is either async or returns a value",
            f"{signature.name} is a plain function that returns {returned.__name__}",
            "Write it with async def",
        )


def check_uses(stage: Stage, signature: Signature, uses: Mapping[str, Any]) -> None:
    """Refuse a resource that the function has no parameter for, and one that is not a resource."""
    from piko_flow.dataflow.stages.resource import is_resource

    for name, resource in uses.items():
        if signature.keywords is not None and name not in signature.keywords:
            taken = ", ".join(sorted(signature.keywords)) or "none"
            stage.refuse(
                f"each name in uses= is a parameter of {signature.name}", f"{name!r} is not (it has: {taken})"
            )
        if not is_resource(resource):
            stage.refuse(
                f"uses[{name!r}] must be an async context manager function or an object with acquire(info)",
                f"got {describe(resource)}",
                "Decorate the function with contextlib.asynccontextmanager",
            )
