"""The joints of a chain: what comes to each stage is compared with what it takes."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable
from typing import Any, NoReturn

from typing_extensions import is_typeddict

from piko_flow.dataflow.graph.function import signature_of
from piko_flow.dataflow.graph.generics import class_of, members_of, union_of
from piko_flow.dataflow.graph.typing import compatible, guarded, plain, show
from piko_flow.dataflow.stages.routing import Fork, Merge, On, RouteFork
from piko_flow.dataflow.stages.stage import SinkLike, Stage
from piko_flow.errors import StageTypeError

AnyOn = On[Any, Any, Any, Any]


def outgoing(stage: Stage, incoming: Any = Any, before: Stage | None = None) -> Any:
    """The type that leaves a stage which gets `incoming` from `before`; Any where unknown.

    Raises StageTypeError at the first joint inside that does not fit, naming both stages and both types.
    """
    if isinstance(stage, Merge):
        return union_of([outgoing(source) for source in stage.sources])
    parts: tuple[Stage, ...] | None = getattr(stage, "parts", None)
    if parts is not None:
        for part in parts:
            incoming = outgoing(part, incoming, before)
            before = last_of(part)
        return incoming
    if isinstance(stage, Fork):
        return _through_fork(stage, incoming, before)
    if before is not None:
        for whose, taken in stage.asks():
            if not compatible(incoming, taken):
                _mismatch(stage, whose, taken, before, incoming)
    return stage.gives(incoming)


def check_branch_of_class(on: AnyOn) -> None:
    """Refuse a branch that takes neither the classes that are sent to it nor some of their subclasses."""
    for whose, taken in first_of(on.branch).asks():
        if not any(compatible(kind, taken) or compatible(taken, kind) for kind in on.classes):
            _mismatch(first_of(on.branch), whose, taken, on, union_of(list(on.classes)))


def last_of(stage: Stage) -> Stage:
    """The leaf that a message names when something that comes out of `stage` does not fit."""
    parts: tuple[Stage, ...] | None = getattr(stage, "parts", None)
    return last_of(parts[-1]) if parts else stage


def first_of(stage: Stage) -> Stage:
    """The leaf that what is sent to `stage` comes to first."""
    parts: tuple[Stage, ...] | None = getattr(stage, "parts", None)
    return first_of(parts[0]) if parts else stage


def _through_fork(stage: Any, incoming: Any, before: Stage | None) -> Any:
    if isinstance(stage, RouteFork):
        gives = _through_route(stage, incoming, before)
    else:
        gives = [outgoing(branch, incoming, before or stage) for branch in stage.branches]
    opened = [
        kind for branch, kind in zip(stage.branches, gives, strict=True) if not isinstance(branch, SinkLike)
    ]
    return union_of(opened) if opened else Any


def _through_route(stage: RouteFork, incoming: Any, before: Stage | None) -> list[Any]:
    """What each branch gives, with what the branches before it have left."""
    left, gives = members_of(plain(incoming)), []
    for on in stage.ons:
        if on.classes:
            gives.append(_by_class(on, left, before or on))
            left = [kind for kind in left if not _surely(kind, on.classes)]
        else:
            gives.append(_by_predicate(on, left, before))
            narrowed = _narrowed(on)
            left = [kind for kind in left if narrowed is Any or not compatible(kind, narrowed)]
    if before is not None and all(on.classes for on in stage.ons):
        _check_covered(stage, left, incoming, before)
    return gives


def _by_class(on: AnyOn, left: list[Any], before: Stage) -> Any:
    if on.classes == (object,):
        return outgoing(on.branch, union_of(left), before)
    sure = [kind for kind in left if _surely(kind, on.classes)]
    perhaps = [kind for kind in on.classes if any(_surely(kind, (class_of(one),)) for one in left)]
    sent = union_of(sure + [kind for kind in perhaps if kind not in sure] or list(on.classes))
    if left == [Any] and not compatible(sent, first_of(on.branch).takes):
        sent = Any  # some of that class may come, and the branch may be made for those
    return outgoing(on.branch, sent, before)


def _by_predicate(on: AnyOn, left: list[Any], before: Stage | None) -> Any:
    """A predicate may tell the members of a union apart, so one that fits the branch is enough."""
    if before is not None:
        takes = signature_of(on.test).takes
        if not compatible(union_of(left), takes):
            _mismatch(on, "its predicate", takes, before, union_of(left))
    sent = guarded(signature_of(on.test).returns)
    if sent is not Any:
        return outgoing(on.branch, sent, on)
    gives, refusals = [], []
    for kind in left:
        try:
            gives.append(outgoing(on.branch, kind, before or on))
        except StageTypeError as refusal:
            refusals.append(refusal)
    if not gives and refusals:
        raise refusals[0]
    return union_of(gives)


def _narrowed(on: AnyOn) -> Any:
    """What cannot come any more once this predicate was false: what it promises by TypeIs."""
    returns = signature_of(on.test).returns
    return guarded(returns) if "TypeIs" in str(typing.get_origin(returns)) else Any


def _surely(kind: Any, classes: Iterable[type[Any]]) -> bool:
    """Whether everything of that type is an instance of one of the classes."""
    kind = plain(kind)
    if typing.get_origin(kind) is typing.Literal:
        return all(isinstance(value, tuple(classes)) for value in typing.get_args(kind))
    found = dict if is_typeddict(class_of(kind)) else class_of(kind)
    try:
        return isinstance(found, type) and issubclass(found, tuple(classes))
    except TypeError:  # classes that refuse issubclass
        return False


def _check_covered(stage: Any, left: list[Any], incoming: Any, before: Stage) -> None:
    classes = tuple(kind for on in stage.ons for kind in on.classes)
    known = [kind for kind in left if plain(kind) is not Any and isinstance(class_of(plain(kind)), type)]
    missing = [kind for kind in known if not _open(kind, classes)]
    if not missing or object in classes:
        return
    names = [show(kind) for kind in missing]
    first = "type(None)" if names[0] == "None" else names[0].partition("[")[0]
    raise StageTypeError(
        what=stage.title,
        where=str(stage.origin),
        rule="a Route has a branch for everything that comes",
        got=f"{before.title} ({before.origin}) gives {show(incoming)} and no branch takes {', '.join(names)}",
        advice="Add On(object, ...) last"
        if first == "object"
        else f"Add On({first}, ...), or On(object, ...) last",
    )


def _open(kind: Any, classes: tuple[type[Any], ...]) -> bool:
    """Whether the type has no items of its own, so that branches for some of its subclasses may be all there are."""
    found = class_of(plain(kind))
    if getattr(found, "_is_protocol", False):
        return True
    return inspect.isabstract(found) and any(_surely(one, (found,)) for one in classes)


def _mismatch(stage: Stage, whose: str, taken: Any, before: Stage, given: Any) -> NoReturn:
    raise StageTypeError(
        what=stage.title,
        where=str(stage.origin),
        rule=f"{whose} takes {show(taken)}",
        got=f"{before.title} ({before.origin}) gives {show(given)}",
        advice="Change one of the two annotations, or put a Transform or Parse between them",
    )
