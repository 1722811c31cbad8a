"""A Redis server: its address, a connection to it, and commands that are sent again when the connection broke."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from piko_flow.connectors.extras import require_extra
from piko_flow.connectors.hidden_secrets import shown_url
from piko_flow.connectors.redis_errors import RedisFailed
from piko_flow.connectors.refusing import Refuse
from piko_flow.errors import describe_error
from piko_flow.retry import LONGEST_TIME, Retry, attempts, seconds

T = TypeVar("T")
SCHEMES: Final = ("redis", "rediss", "unix")
RETRY: Final = Retry(attempts=8, first=0.1, limit=5)
TIMEOUT: Final = 10.0  # seconds of one command
log = logging.getLogger("piko_flow.redis")


@dataclass(frozen=True)
class RedisServer:
    """A server by its URL. `what` and `where` name the stage; a command is tried as `retry` says, each time at most
    `timeout` seconds."""

    url: str
    what: str
    where: str
    retry: Retry = RETRY
    timeout: float = TIMEOUT

    @property
    def shown(self) -> str:
        """The address without user and secrets."""
        return shown_url(self.url)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[RedisClient]:
        """A client, which connects with its first command; closed at the end of the block. Raises MissingExtra."""
        require_extra("redis", "redis", what=self.what, where=self.where)
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry as Attempts
        from redis.backoff import NoBackoff

        client: Any = Redis.from_url(
            self.url,
            protocol=2,
            retry=Attempts(NoBackoff(), 0),  # a command is sent again by ours, which knows which may be
            socket_timeout=self.timeout,
            socket_connect_timeout=self.timeout,
        )
        try:
            yield RedisClient(self, client)
        finally:
            await client.aclose()


class RedisClient:
    """An open client. Whatever is asked of it may be asked again when the connection broke in between."""

    def __init__(self, server: RedisServer, redis: Any) -> None:
        self.server, self.redis = server, redis
        self._scripts: dict[str, Any] = {}

    async def script(self, text: str, keys: list[str], arguments: list[Any]) -> Any:
        """What a script gives, which must do the same when it is run again. Raises RedisFailed."""
        known = self._scripts.get(text)
        if known is None:
            known = self._scripts[text] = self.redis.register_script(text)
        return await self.ask("run a script", lambda: known(keys=keys, args=arguments))

    async def ask(self, what: str, command: Callable[[], Awaitable[T]]) -> T:
        """What the command gives, sent again while that may help. Raises RedisFailed."""
        failures: list[Exception] = []

        async def attempt() -> T:
            try:
                return await command()
            except Exception as error:
                raise self._failed(what, error) from error

        async def wait(seconds: float) -> None:
            log.info("%s; attempt %d follows in %.1f s", failures[-1], len(failures) + 1, seconds)
            await asyncio.sleep(seconds)

        return await attempts(
            attempt,
            self.server.retry,
            sleep=wait,
            again=lambda error: isinstance(error, RedisFailed) and error.passing,
            retried=failures.append,
        )

    def _failed(self, what: str, error: Exception) -> RedisFailed:
        from redis import exceptions

        if not isinstance(error, (exceptions.RedisError, OSError)):
            raise error
        broken = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
        refused = (exceptions.AuthenticationError, exceptions.AuthorizationError)
        passing = isinstance(error, broken) and not isinstance(error, refused)
        return RedisFailed(self.server.shown, what, describe_error(error, 500), passing)


def checked_server(
    url: object, refuse: Refuse, *, what: str, where: str, retry: object, timeout: object
) -> RedisServer:
    """The server; refuses, without its secrets, what cannot be an address, and bad options."""
    rule = "url is one of redis://user:password@host:6379/0, rediss://... (TLS) or unix:///path/of.sock"
    if not isinstance(url, str):
        refuse(rule, f"got {type(url).__name__}", "")
    try:
        parts = urlsplit(url)
        there = parts.path if parts.scheme == "unix" else parts.hostname
        _ = parts.port
    except ValueError:
        refuse(rule, "this one cannot be read", "Check that it has the form of the examples")
    if parts.scheme not in SCHEMES or not there:
        refuse(rule, f"got {shown_url(url)!r}", "")
    if retry is not None and not isinstance(retry, Retry):
        refuse("retry must be a Retry, or None for one attempt", f"got {retry!r:.80}", "")
    given = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given <= LONGEST_TIME:
        refuse("timeout must be a number of seconds or a timedelta above 0", f"got {timeout!r:.80}", "")
    return RedisServer(url, what, where, retry or Retry(attempts=1), seconds(given))
