"""Whether what a validator of the user's says of all parameters may have a secret in it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

from pydantic import BaseModel, RootModel, SecretStr
from pydantic.fields import FieldInfo

from piko_flow.control.params.field_names import Place
from piko_flow.control.params.revealed_values import NOWHERE, revealed
from piko_flow.control.params.secret_fields import (
    SECRET,
    field_type,
    holds_secret,
    inner_type,
    may_be_secret,
    shapes_in,
)

WORD = 3  # characters of a value that counts only as a word of its own: "1" is in every third text
RUN = 32  # characters in a row that are told of no secret, however long it is
MOST = 2_000  # characters of a message that is looked through
MOST_SECRET = 20_000  # characters of all that may be secret
Default: TypeAlias = tuple[str, object, Any, Callable[..., Any] | None]


def may_quote_secret(model: type[BaseModel], values: Mapping[str, Any], message: str) -> bool:
    """Whether a text or number that may be a secret, or half of it in a row, is in the message.

    Such are the values at places for secrets, texts beside them, values under names that the model does not know, and
    the defaults of fields for secrets. A short one counts only as a word of its own. A message that is too long to be looked through
    counts as one that does, as does any where a secret default cannot be known.
    """
    found = list(_secrets(model, values))
    if any(not isinstance(one, str) for one in found):
        return True
    texts = {one for one in found if one.strip()}
    if not texts:
        return False
    if len(message) > MOST or sum(map(len, texts)) > MOST_SECRET:
        return True
    folded = message.casefold()
    return any(_is_in(form.casefold(), folded) for one in texts for form in _forms(one))


def _secrets(model: type[BaseModel], values: Mapping[str, Any]) -> Iterator[Any]:
    """Texts of what may be secret; something else than a text for each that cannot be known."""
    whole = issubclass(model, RootModel) and holds_secret(model)
    for path, leaf in _leaves(revealed(values), ()):
        # A number beside a secret is none: "1" of a port would hide each message with a 1 in it.
        beside = isinstance(leaf, str) and may_be_secret(model, path)
        if whole or beside or _is_secret(model, path):
            yield _text(leaf)
    for annotation, default in _defaults(model):
        yield from (_text(leaf) for path, leaf in _leaves(default, ()) if _is_secret(annotation, path))


def _forms(text: str) -> set[str]:
    """The ways in which a message may have the text: as it is, trimmed, or written as in code or in a URL; of a number
    also with its digits in groups of three."""
    bare = text.strip()
    whole, point, rest = bare.partition(".")
    grouped = {re.sub(r"(?<=\d)(?=(?:\d{3})+$)", mark, whole) + point + rest for mark in ",_"}
    return {bare, repr(text)[1:-1].strip(), json.dumps(text)[1:-1].strip(), quote(bare)} | grouped


def _is_in(text: str, message: str) -> bool:
    if len(text) <= WORD:
        before, after = (r"(?<!\w)" * text[0].isalnum(), r"(?!\w)" * text[-1].isalnum())
        return re.search(before + re.escape(text) + after, message) is not None
    run = min(max(WORD + 1, (len(text) + 1) // 2), RUN)
    return any(text[at : at + run] in message for at in range(len(text) - run + 1))


def _leaves(value: Any, path: Place) -> Iterator[tuple[Place, Any]]:
    """Texts and numbers inside of JSON values, and what is none of these, with their places."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _leaves(inner, (*path, at))
    elif value is not None and not isinstance(value, bool):
        yield path, value


def _text(leaf: Any) -> Any:
    return leaf if leaf is NOWHERE else str(leaf)


def _is_secret(annotation: object, path: Place) -> bool:
    """Whether the place inside of the type is one for a secret, or is under a name that nothing on its way has."""
    at = annotation
    for part in path:
        if SECRET.search(str(part)):
            return True
        mapped = inner_type(at, Mapping)
        if mapped is not None:
            at = mapped
            continue
        within = list(shapes_in(at))
        known = [found for shape in within if (found := field_type(shape, str(part))) is not None]
        if within and not known and not isinstance(part, int):
            return True
        at = known[0] if known else at
    return holds_secret(at)


def _defaults(model: type[BaseModel]) -> Iterator[tuple[object, Any]]:
    """The defaults of all fields with secrets in the model and in what is inside of it, NOWHERE for an unknown one,
    each with its type, or that of a secret where its name says that it is one."""
    seen: set[type] = set()
    ahead: list[type] = [model]
    while ahead:
        shape = ahead.pop()
        if shape in seen:
            continue
        seen.add(shape)
        for name, annotation, default, factory in _fields(shape):
            ahead += shapes_in(annotation)
            if SECRET.search(name) or holds_secret(annotation):
                made = revealed(default) if factory is None else _made_by(factory)
                yield (SecretStr if SECRET.search(name) else annotation), made


def _fields(shape: type) -> Iterable[Default]:
    """Name, type, default (None for none) and what makes the default of each field."""
    known: Mapping[str, FieldInfo] | None = getattr(shape, "__pydantic_fields__", None)
    if known is not None:
        for name, field in known.items():
            default = None if field.is_required() or field.default_factory else field.default
            yield name, field.annotation, default, field.default_factory
    elif dataclasses.is_dataclass(shape):
        for one in dataclasses.fields(shape):
            missing = one.default is dataclasses.MISSING
            factory = None if one.default_factory is dataclasses.MISSING else one.default_factory
            yield one.name, field_type(shape, one.name), None if missing else one.default, factory
    else:
        defaults = getattr(shape, "_field_defaults", {})  # of a named tuple
        for name in getattr(shape, "__annotations__", {}):
            yield name, field_type(shape, name), defaults.get(name), None


def _made_by(factory: Callable[..., Any]) -> Any:
    try:
        one, two = revealed(factory()), revealed(factory())
    except Exception:  # it is the user's, and may need what is not known here
        return NOWHERE
    return one if one == two else NOWHERE  # another one each time: nobody knows which the validator has seen
