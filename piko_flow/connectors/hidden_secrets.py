"""Addresses as messages and logs show them: without passwords and without the values of secret parameters."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from piko_flow.url_passwords import HIDDEN, SECRET_NAMES

LONGEST: Final = 500  # characters of an address that are shown
_hiding: ContextVar[frozenset[str] | None] = ContextVar("hiding", default=None)


def shown_url(url: object, secrets: frozenset[str] = SECRET_NAMES) -> str:
    """The address without user and password, with ****** for the values of the named query parameters; never raises."""
    try:
        parts = urlsplit(str(url))
        host = parts.netloc.rpartition("@")[2]
        text = urlunsplit((parts.scheme, host, parts.path, _shown_query(parts.query, secrets), ""))
    except ValueError:
        return "an address that cannot be read"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


@contextmanager
def hiding(secrets: frozenset[str]) -> Iterator[None]:
    """Inside the block httpx, which logs every address that it asks, logs them as `shown_url` shows them."""
    _watch_log()
    token = _hiding.set(secrets)
    try:
        yield
    finally:
        _hiding.reset(token)


def _shown_query(query: str, secrets: frozenset[str]) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    if not any(name.casefold() in secrets for name, _ in pairs):
        return query
    shown = ((name, HIDDEN if name.casefold() in secrets else quote(value)) for name, value in pairs)
    return "&".join(f"{quote(name)}={value}" for name, value in shown)


class _ShownAddresses(logging.Filter):
    """Rewrites the addresses in what httpx logs for requests of ours; other records pass as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        secrets = _hiding.get()
        if secrets is not None and isinstance(record.args, tuple):
            record.args = tuple(
                shown_url(one, secrets) if type(one).__name__ == "URL" else one for one in record.args
            )
        return True


@cache
def _watch_log() -> None:
    logging.getLogger("httpx").addFilter(_ShownAddresses())
