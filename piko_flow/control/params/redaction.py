"""Fields whose values are kept nowhere, in stored items, errors and log lines; secret params and passwords of URLs likewise."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from piko_flow.control.params.payload import LONGEST, encode_payload, values_of
from piko_flow.errors import describe_error
from piko_flow.url_passwords import HIDDEN, without_url_passwords

SHORTEST = 3  # characters; a shorter secret would hide half of every line
SHORT = 4  # characters; shorter values are hidden in a text only where they stand as words of their own
LINE = 16  # characters; longer lines of a secret, as a key has, are hidden also where a text indents them
CUT = "…"  # at the end of a text that was cut
INPUT = re.compile(r"input_value=.*?(?=, input_type=|$)", re.DOTALL)


@dataclass(frozen=True)
class Redaction:
    """Hides the values of the fields with these names, whatever their case, however deep they lie in an item.

    An item that has no fields to be told apart, as one that is kept as its repr, is hidden as a whole. `secrets` are
    hidden in texts, in each form in which a text may have them, and so are passwords in URLs.
    """

    names: frozenset[str] = frozenset()
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @staticmethod
    def of(*names: Collection[str]) -> Redaction:
        """A redaction of all these names."""
        return Redaction(frozenset(name.casefold() for some in names for name in some))

    def knowing(self, secrets: Iterable[str]) -> Redaction:
        """The same that hides these secrets in texts too, unless they have less than three characters."""
        forms = {form for one in secrets for form in _secret_forms(one) if len(form) >= SHORTEST}
        return Redaction(self.names, tuple(sorted({*self.secrets, *forms}, key=len, reverse=True)))

    def payload(self, item: Any, *, most: int = LONGEST) -> str:
        """The item's payload as it may be stored; it names the fields that were hidden as `redacted`."""
        text = encode_payload(item, most=most)
        if not self.names:
            return text
        kept = json.loads(text)
        if "value" not in kept:
            return json.dumps({"type": kept["type"], "repr": HIDDEN, "redacted": ["repr"]})
        hidden: dict[str, list[Any]] = {}
        kept["value"] = self._without(_as_values(item, kept["value"]), hidden)
        if not hidden:
            return text
        redacted = sorted({*hidden, *kept.get("redacted", ())})
        return json.dumps({**kept, "redacted": redacted}, ensure_ascii=False, separators=(",", ":"))

    def values(self, value: Any) -> Any:
        """A JSON value without the values of these fields."""
        return self._without(value, {})

    def text(self, text: str, item: Any) -> str:
        """What was told of the item, without the values that are hidden in it and without secrets."""
        return self.line(self._without_fields(text, item))

    def line(self, text: str) -> str:
        """A text that tells of no item in particular, without secrets and passwords in URLs."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        if text.endswith(CUT):
            text = self._without_begun(text)
        return without_url_passwords(text)

    def _without_begun(self, text: str) -> str:
        """A text that was cut, without the secret in the midst of which that was."""
        kept = text.removesuffix(CUT)
        for secret in self.secrets:
            for size in range(len(secret) - 1, SHORTEST, -1):
                if kept.endswith(secret[:size]):
                    return kept[:-size] + HIDDEN + CUT
        return text

    def _without_fields(self, text: str, item: Any) -> str:
        if not self.names or not text:
            return text
        text = INPUT.sub(f"input_value={HIDDEN}", text)
        hidden: dict[str, list[Any]] = {}
        self._without(_as_values(item, values_of(encode_payload(item))), hidden)
        told = {one for values in hidden.values() for value in values for one in _forms(value)}
        for form in sorted(told, key=len, reverse=True):
            if len(form) >= SHORT:
                text = text.replace(form, HIDDEN)
            else:
                text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", HIDDEN, text)
        return text

    def _without(self, value: Any, hidden: dict[str, list[Any]]) -> Any:
        """The value with its fields hidden; what they were goes into `hidden`, by their names."""
        if isinstance(value, dict):
            kept = {}
            for name, one in value.items():
                if name.casefold() in self.names:
                    hidden.setdefault(name, []).append(one)
                    kept[name] = HIDDEN
                else:
                    kept[name] = self._without(one, hidden)
            return kept
        if isinstance(value, list):
            return [self._without(one, hidden) for one in value]
        if isinstance(value, str) and (inner := _json_object(value)) is not None:
            without = self._without(inner, hidden)
            return value if without == inner else json.dumps(without)
        return value


NOTHING_HIDDEN = Redaction()


def _as_values(item: Any, value: Any) -> Any:
    """The JSON value of an item; a named tuple, which JSON has as a list, with its names, and bytes as their text."""
    if isinstance(item, bytes):
        return item.decode(errors="replace")
    if isinstance(item, tuple) and isinstance(names := getattr(item, "_fields", None), tuple):
        return dict(zip(names, value, strict=True)) if isinstance(value, list) else value
    if isinstance(item, list) and isinstance(value, list) and len(item) == len(value):
        return [_as_values(*pair) for pair in zip(item, value, strict=True)]
    return value


def _json_object(text: str) -> Any:
    """What a text holds that is a JSON object or list of its own; None for any other text."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _forms(value: Any) -> Iterator[str]:
    """How the value, or what lies in it, may stand in a text."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _forms(one)
    elif isinstance(value, str):
        yield from {
            value,
            repr(value)[1:-1],
            ascii(value)[1:-1],
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
        } - {""}
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _secret_forms(secret: str) -> Iterator[str]:
    """How a secret may stand in a text, as a whole or line by line."""
    yield from _forms(secret)
    if len(lines := secret.splitlines()) > 1:
        for line in lines:
            if len(line) >= LINE:
                yield from _forms(line)


VALUE = r"""(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;)\]}]+)"""


class LineRedaction:
    """Hides in a text what the redaction's fields are said to be (`name=...`, `"name": ...`), the secrets, passwords in URLs."""

    def __init__(self, redaction: Redaction, secrets: Iterable[str] = ()) -> None:
        self._redaction = redaction.knowing(secrets)
        named = "|".join(re.escape(name) for name in sorted(redaction.names))
        fields = rf"""(?P<before>\b(?:{named})["']?\s*[:=]\s*){VALUE}"""
        self._fields = re.compile(fields, re.IGNORECASE) if named else None

    def __call__(self, text: str) -> str:
        """The text as it may be kept."""
        text = self._redaction.line(text)
        if self._fields is not None:
            return self._fields.sub(rf"\g<before>{HIDDEN}", text)
        return text


def described(error: BaseException, params: object, limit: int) -> str:
    """The error of a flow's code that was called with these params, without their secrets, cut to `limit` characters."""
    text = Redaction().knowing(secrets_in(params)).line(describe_error(error))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def secrets_in(value: Any) -> Iterator[str]:
    """The values in it that are marked as secret, however deep they lie."""
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case SecretBytes():
            yield value.get_secret_value().decode(errors="replace")
        case BaseModel():
            for name in type(value).model_fields:
                yield from secrets_in(getattr(value, name))
        case dict():
            for one in value.values():
                yield from secrets_in(one)
        case list() | tuple() | set():
            for one in value:
                yield from secrets_in(one)
