"""How functions travel to worker processes, and why one cannot.

Cloudpickle carries them: it knows functions, closures and classes of a notebook or a script. Dill inspects
them and names what cannot travel, what is dragged along, and what looks like a secret.
"""

from __future__ import annotations

import functools
import itertools
import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import methodcaller
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from piko_flow.dataflow.workers import transport
from piko_flow.errors import PipelineError, describe_error, shorten

DRAGS_ALONG = 1024 * 1024  # bytes of one variable that deserve a warning
LOOKED_INTO = 6  # levels of objects inside objects that are searched for the culprit
LOOKED_AT = 200  # objects that are searched for it
SECRET = re.compile(r"(?i)passw(or)?d|passphrase|(secret|token)s?(?![a-z])|api_?key|private_?key|credential")

_ids = itertools.count(1)


class ShippingWarning(UserWarning):
    """A function takes along to its workers what its author may not have meant to."""


class CannotShip(PipelineError):
    """A function for worker processes, or something it refers to, cannot travel; raised before the run starts.

    `culprits` describes each variable that cannot travel, outermost first; it may be empty.
    """

    def __init__(self, *, stage: str, where: str, culprits: tuple[str, ...], reason: str) -> None:
        super().__init__(
            what=f"the function of stage {stage!r}",
            where=where,
            rule="a function for worker processes must be picklable, with all that it refers to",
            got="; ".join(culprits) or reason,
            advice="Make inside the function what cannot travel, hand in what it is made from, "
            'or use Transform(..., on="thread")',
        )
        self.stage, self.culprits, self.reason = stage, culprits, reason


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Shipment:
    """A function packed for travel. Made once per stage, sent once to each worker that needs it."""

    stage: str
    where: str
    payload: bytes = field(repr=False)
    id: int = field(default_factory=_ids.__next__)


def pack(function: Callable[[Any], Any], *, stage: str, where: str) -> Shipment:
    """Pack the function as it is now; later changes of what it refers to stay here.

    Raises CannotShip, naming what cannot travel. Warns with ShippingWarning of variables of more than a
    megabyte and of what looks like a secret, when they would travel. Whether a worker can load it again,
    `WorkerPool.prove` tells.
    """
    try:
        payload = _pack(function)
    except Exception as error:
        culprits = tuple(_find_culprits(function))
        raise CannotShip(stage=stage, where=where, culprits=culprits, reason=describe_error(error)) from error
    for concern in _find_concerns(function, payload):
        warnings.warn(f"the function of stage {stage!r} ({where}) {concern}", ShippingWarning, stacklevel=2)
    return Shipment(stage, where, payload)


def culprits_of(value: object) -> tuple[str, ...]:
    """What keeps a value from travelling, each with the way to it; empty when it can travel."""
    obstacle = _obstacle(value)
    return () if obstacle is None else tuple(_find_culprits(value)) or (obstacle,)


def importable_pickler() -> Callable[..., Any]:
    """The pickler for such values in a worker, which can import cloudpickle and nothing of ours."""
    import cloudpickle  # type: ignore[import-untyped]

    pickler: Callable[..., Any] = cloudpickle.Pickler
    return pickler


@functools.cache
def by_value_pickler() -> Callable[..., Any]:
    """The pickler for values whose classes no worker can import: those of `__main__` and of functions.

    What it carries knows the file that it was written in, which cloudpickle has left out since 3.1.3: a traceback
    from a worker is to show the line.
    """
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # its library has no types
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, CodeType):
                return methodcaller("replace", co_filename=obj.co_filename), (_Unnamed(obj),)
            if isinstance(obj, _Unnamed):
                return self.dispatch_table[CodeType](obj.code)
            return super().reducer_override(obj)

    return Pickler


@dataclass(frozen=True, slots=True)
class _Unnamed:
    """Code as cloudpickle reduces it."""

    code: CodeType


def _pack(value: object) -> bytes:
    return transport.pack_apart(value, by_value_pickler())


def _parts(thing: object) -> Iterator[tuple[str, object]]:
    """What travels with a thing that travels by value, and how to call it."""
    if isinstance(thing, MethodType):
        yield "the object it is a method of", thing.__self__
        yield "the function of the method", thing.__func__
    elif isinstance(thing, functools.partial):
        yield "the function of the partial", thing.func
        yield from ((f"argument {place} of the partial", value) for place, value in enumerate(thing.args, 1))
        yield from ((f"argument {name!r} of the partial", value) for name, value in thing.keywords.items())
    elif isinstance(thing, FunctionType):
        yield from _parts_of_function(thing)
    elif isinstance(thing, dict):
        yield from ((f"key {shorten(key, 40)}", value) for key, value in thing.items())
    elif isinstance(thing, (list, tuple, set, frozenset)):
        yield from ((f"element {place}", value) for place, value in enumerate(thing))
    elif not isinstance(thing, (type, ModuleType)) and hasattr(thing, "__dict__"):
        yield from ((f"attribute {name!r}", value) for name, value in vars(thing).items())


def _parts_of_function(function: FunctionType) -> Iterator[tuple[str, object]]:
    from dill import detect

    for name, value in detect.freevars(function).items():
        yield f"closure variable {name!r}", value
    named = {name for code in [function.__code__, *detect.nestedcode(function)] for name in code.co_names}
    for name in sorted(named & function.__globals__.keys()):
        yield f"global {name!r}", function.__globals__[name]
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f"default of parameter {name!r}", value
    yield from (("default of a parameter", value) for value in function.__defaults__ or ())


def _find_culprits(function: object) -> Iterator[str]:
    """The innermost things that cannot travel, each with the way to it."""
    seen: set[int] = {id(function)}

    def search(thing: object, path: str, depth: int) -> Iterator[str]:
        found = False
        for name, part in _parts(thing) if depth < LOOKED_INTO else ():
            if id(part) in seen or len(seen) > LOOKED_AT:
                continue
            seen.add(id(part))
            if _obstacle(part) is not None:
                found = True
                yield from search(part, f"{name} of {path}" if path else name, depth + 1)
        if not found and path:
            kind = type(thing)
            yield f"{path} is a {kind.__module__}.{kind.__qualname__} and cannot travel ({_obstacle(thing)})"

    return search(function, "", 0)


def _obstacle(thing: object) -> str | None:
    try:
        _pack(thing)
    except Exception as error:
        return describe_error(error)
    return None


def _find_concerns(function: object, payload: bytes) -> Iterator[str]:
    """What travels with the function and should perhaps stay."""
    if _by_name(function):
        return
    for name, path, value in _travelling(function):
        secret = _secret(value)
        if len(secret) > 3 and SECRET.search(name) and secret in payload:
            yield f"takes {path} along to its workers, which looks like a secret. Read it inside the function"
    if len(payload) > DRAGS_ALONG:
        for name, value in _parts(function):
            size = _size(value)
            if size > DRAGS_ALONG:
                yield (
                    f"takes {name} along, {size / 1e6:.1f} MB, once to each worker. "
                    "Load it inside the function, or name it in the items"
                )


def _by_name(function: object) -> bool:
    """Whether the function travels as a name that a worker imports, so that nothing goes along."""
    try:
        return b"__main__" not in pickle.dumps(function, protocol=5)
    except Exception:
        return False  # what has no name to be found under travels by value


def _travelling(function: object) -> Iterator[tuple[str, str, object]]:
    """Name, path and value of the parts of the function, and of the parts of these."""
    for name, value in _parts(function):
        yield name, name, value
        if not isinstance(value, (list, tuple, set, frozenset, FunctionType)):
            for inner, part in itertools.islice(_parts(value), LOOKED_AT):
                yield inner, f"{inner} of {name}", part


def _secret(value: object) -> bytes:
    """The text that would be given away, empty if there is none."""
    reveal = getattr(value, "get_secret_value", None)
    text = reveal() if callable(reveal) else value
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    return text if isinstance(text, bytes) else b""


def _size(value: object) -> int:
    try:
        return len(_pack(value))
    except Exception:
        return 0  # it did not travel, or the function would have been refused
