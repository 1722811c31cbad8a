"""The client that a run calls a service with, opened when the run begins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from piko_flow.connectors.extras import require_extra
from piko_flow.connectors.hidden_secrets import shown_url
from piko_flow.counting import whole_number
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.errors import PipelineError
from piko_flow.known_names import unknown_options_refused
from piko_flow.retry import LONGEST_TIME, seconds

if TYPE_CHECKING:
    import httpx

Headers: TypeAlias = Mapping[str, str] | Callable[[], Mapping[str, str]]


@unknown_options_refused
class HttpClient:
    """A resource that opens an `httpx.AsyncClient`: `uses={"client": HttpClient("https://shop.example/v1")}`.

    Needs the extra `http`. Opened once a run, or once for the application as `Resource(client, scope="app")`.
    `base_url` stands before addresses that begin with a slash. `headers` is a mapping, or a function that gives one,
    called whenever the client is opened: so a token need not be read when the pipeline is composed. Values of headers
    are never shown. `timeout` bounds, in seconds, each of: connecting, sending, waiting for the next piece of an
    answer, waiting for a free connection. Of `connections` at once `kept` stay open between requests. Redirects
    are not followed, so no header reaches an address that was not named.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        headers: Headers | None = None,
        timeout: float | timedelta = 30,
        connections: int = 100,
        kept: int = 20,
    ) -> None:
        self.where = str(caller())
        self.base_url, self.headers, self.connections, self.kept = base_url, headers or {}, connections, kept
        if not isinstance(base_url, str) or (base_url and not base_url.startswith(("http://", "https://"))):
            self._refuse("base_url must begin with http:// or https://", f"got {shown_url(base_url)!r}")
        if not callable(self.headers) and not isinstance(self.headers, Mapping):
            self._refuse(
                "headers must be a mapping, or a function that gives one", f"got {type(headers).__name__}"
            )
        number = isinstance(timeout, (int, float, timedelta)) and not isinstance(timeout, bool)
        if not number or not 0 < seconds(timeout) <= LONGEST_TIME:
            self._refuse("timeout must be a number of seconds above 0", f"got {timeout!r}")
        self.timeout = seconds(timeout)
        for name, value, least in (("connections", connections, 1), ("kept", kept, 0)):
            whole_number(name, value, self._refuse, least=least)

    @asynccontextmanager
    async def acquire(self, info: RunInfo) -> AsyncIterator[httpx.AsyncClient]:
        """The open client. Raises MissingExtra, and PipelineError for headers that are not texts."""
        require_extra("http", "httpx", what=repr(self), where=self.where)
        import httpx

        limits = httpx.Limits(max_connections=self.connections, max_keepalive_connections=self.kept)
        async with httpx.AsyncClient(
            base_url=self.base_url, headers=self._given_headers(), timeout=self.timeout, limits=limits
        ) as client:
            yield client

    def _given_headers(self) -> dict[str, str]:
        given: Any = self.headers() if callable(self.headers) else self.headers
        for name, value in given.items() if isinstance(given, Mapping) else [("headers", given)]:
            if not isinstance(name, str) or not isinstance(value, str):
                self._refuse("headers must be texts", f"{name!r} is {type(value).__name__}")
        return dict(given)

    def _refuse(self, rule: str, got: str) -> NoReturn:
        raise PipelineError(what="HttpClient", where=self.where, rule=rule, got=got)

    def __repr__(self) -> str:
        return f"HttpClient({shown_url(self.base_url)!r})"
