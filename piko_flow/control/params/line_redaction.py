"""Log lines without what is secret: values of fields that are to be kept nowhere, secret params, passwords of URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from piko_flow.control.params.redaction import Redaction
from piko_flow.errors import describe_error
from piko_flow.url_passwords import HIDDEN

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
