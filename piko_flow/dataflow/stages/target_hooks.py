"""The methods of a SinkTarget that a run calls, checked where the target is given to a Sink."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterator
from difflib import get_close_matches
from typing import Any, Final

from piko_flow.dataflow.graph.function import misfit, signature_of
from piko_flow.dataflow.graph.generics import class_of
from piko_flow.dataflow.stages.stage import Stage

AWAITED: Final = {
    "open": 1,
    "write": 1,
    "prepare": 0,
    "commit": 1,
    "commit_in": 2,
    "abort": 0,
    "lock": 1,
    "sweep": 1,
}
"""The methods that are awaited, with how many arguments each is given."""
PLAIN: Final = {"joins": 1, "row_fields": 1}
SIMILAR: Final = 0.8  # how like a method's name is to that of a hook which it was meant to be


def check_hooks(stage: Stage, target: object, base: type) -> None:
    """Refuse a target of this base with a hook that is misspelt, or not to be awaited as it will be."""
    kind = type(target).__name__
    for hook, given in (AWAITED | PLAIN).items():
        method = getattr(target, hook)
        if not callable(method):
            stage.refuse(f"its {hook} must be a method", f"got {method!r:.80}")
        if hook in PLAIN and inspect.iscoroutinefunction(method):
            stage.refuse(f"{hook} is not awaited", f"{kind}.{hook} is async", f"Write it with def {hook}")
        if hook in AWAITED and not _is_awaited(method):
            stage.refuse(
                f"{hook} of a SinkTarget is awaited",
                f"{kind}.{hook} is no async function",
                f"Write it with async def {hook}",
            )
        if reason := misfit(method, given):
            arguments = "nothing" if given == 0 else "one argument" if given == 1 else f"{given} arguments"
            what = "a list of items" if hook == "write" else arguments
            stage.refuse(f"{hook} is called with {what}", f"{kind}.{hook}: {reason}")
    for name, hook in _misspelt(target, base):
        stage.refuse(
            f"the methods of a SinkTarget that are awaited are {', '.join(AWAITED)}",
            f"{kind}.{name}, which nothing calls",
            f"Did you mean {hook}? A method of your own that is none of them begins with _",
        )


def _is_awaited(method: Any) -> bool:
    """Whether a method gives something to await, as far as can be seen; a decorated one as what it decorates."""
    if inspect.iscoroutinefunction(inspect.unwrap(method)):
        return True
    returned = class_of(signature_of(method).returns)
    return isinstance(returned, type) and issubclass(returned, Awaitable)


def _misspelt(target: object, base: type) -> Iterator[tuple[str, str]]:
    """Each async method that no hook is but looks like one which its class does not define, with that hook."""
    for kind in type(target).__mro__:
        if not issubclass(kind, base) or kind is base:
            continue
        missing = [hook for hook in AWAITED if hook not in vars(kind)]
        for name, method in vars(kind).items():
            if hasattr(base, name) or name.startswith("_") or not inspect.iscoroutinefunction(method):
                continue
            for hook in get_close_matches(name, missing, n=1, cutoff=SIMILAR):
                if not misfit(method, AWAITED[hook] + 1):
                    yield name, hook
