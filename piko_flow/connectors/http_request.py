"""One request to a service: sent, sent again while that may help, and its answer read within bounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import TypeAdapter

from piko_flow.connectors.hidden_secrets import hiding, shown_url
from piko_flow.connectors.http_errors import BadAnswer, BadStatus, HttpFailed, NoAnswer
from piko_flow.connectors.rate_limit import RateLimit
from piko_flow.connectors.retry_after import retry_after
from piko_flow.errors import describe_error, shorten
from piko_flow.retry import Retry, attempts
from piko_flow.url_passwords import SECRET_NAMES

if TYPE_CHECKING:
    import httpx

# Those that RFC 9110 calls idempotent: a second request leaves the service as the first did.
REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
LARGEST: Final = 64 * 1024 * 1024  # bytes of one answer
BEGINNING: Final = 2048  # bytes of an answer that is not wanted
ANYTHING: Final = TypeAdapter(Any)
log = logging.getLogger("piko_flow.http")


@dataclass(frozen=True)
class Answer:
    """What came back: always with a status of 2xx, or one that was asked for."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    links: Mapping[str, str]
    content: bytes
    secrets: frozenset[str] = SECRET_NAMES

    def json(self) -> Any:
        """The content as JSON; None where there is none. Raises BadAnswer."""
        if not self.content:
            return None
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            got = shorten(self.content[:BEGINNING].decode(errors="replace"))
            raise self.bad(f"the answer must be JSON ({error}), got {got}") from None

    def bad(self, reason: str) -> BadAnswer:
        """The error that says what is wrong with this answer."""
        return BadAnswer(self.method, shown_url(self.url, self.secrets), reason)


@dataclass(frozen=True)
class Asking:
    """How requests are sent; `timeout` bounds one attempt as a whole, in seconds.

    Attempts follow `retry` where the error is passing: no answer, 429, or a status from 500 on. A service that asks to
    wait (`Retry-After`) is given as long, up to `longest_wait` seconds; where it asks for more, the error is raised at
    once. A request whose method is not idempotent is sent again only if it cannot have been received, unless `repeatable`.
    """

    retry: Retry
    timeout: float
    max_bytes: int = LARGEST
    longest_wait: float = 60.0
    rate: RateLimit | None = None
    secrets: frozenset[str] = SECRET_NAMES
    repeatable: bool = False

    async def ask(
        self, client: Any, method: str, url: str, *, json: Any = None, takes: frozenset[int] = frozenset()
    ) -> Answer:
        """The answer, whose status is 2xx or one that it `takes`. Raises HttpFailed, and TurnTooLate of the rate limit."""
        failures: list[Exception] = []

        async def attempt() -> Answer:
            if self.rate is not None:
                await self.rate.turn()
            return await self._attempt(client, method, url, json, takes)

        async def wait(seconds: float) -> None:
            asked = _asked(failures[-1])
            seconds = max(seconds, asked or 0.0)
            if asked is not None and self.rate is not None:
                self.rate.hold(seconds)
            log.info("%s; attempt %d follows in %.1f s", failures[-1], len(failures) + 1, seconds)
            await asyncio.sleep(seconds)

        return await attempts(
            attempt,
            self.retry,
            sleep=wait,
            again=lambda error: isinstance(error, HttpFailed) and self._may_ask_again(error, method),
            retried=failures.append,
        )

    def _may_ask_again(self, error: HttpFailed, method: str) -> bool:
        unsent = isinstance(error, NoAnswer) and error.unsent
        if not error.passing or not (self.repeatable or method in REPEATABLE or unsent):
            return False
        asked = _asked(error)
        if asked is not None and asked > self.longest_wait:
            error.add_note(
                f"the service asks to wait {asked:,g} seconds, longest_wait={self.longest_wait:g} allows less"
            )
            return False
        return True

    async def _attempt(self, client: Any, method: str, url: str, json: Any, takes: frozenset[int]) -> Answer:
        import httpx

        try:
            request = built(client, method, url, json)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise NoAnswer(method, shown_url(url, self.secrets), str(error), False, True) from None
        shown = shown_url(request.url, self.secrets)
        try:
            async with asyncio.timeout(self.timeout):
                return await self._exchange(client, request, takes, shown)
        except TimeoutError:
            raise NoAnswer(method, shown, f"no whole answer within {self.timeout:g} seconds") from None
        except httpx.RequestError as error:
            unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
            passing = not isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError))
            raise NoAnswer(method, shown, describe_error(error), passing, unsent) from error

    async def _exchange(
        self, client: Any, request: httpx.Request, takes: frozenset[int], shown: str
    ) -> Answer:
        with hiding(self.secrets):
            response = await client.send(request, stream=True, follow_redirects=False)
        try:
            if not response.is_success and response.status_code not in takes:
                raise await self._refused(request.method, shown, response)
            content = await self._content(request.method, shown, response)
        finally:
            await response.aclose()
        links = {name: link["url"] for name, link in response.links.items() if "url" in link}
        url = str(request.url)
        return Answer(
            request.method, url, response.status_code, response.headers, links, content, self.secrets
        )

    async def _content(self, method: str, shown: str, response: httpx.Response) -> bytes:
        content, whole = await _beginning(response, self.max_bytes)
        if not whole:
            raise BadAnswer(method, shown, f"an answer has at most {self.max_bytes:,} bytes, got more")
        return content

    async def _refused(self, method: str, shown: str, response: httpx.Response) -> BadStatus:
        beginning, _ = await _beginning(response, BEGINNING)
        text = beginning.decode(errors="replace").strip()
        location = response.headers.get("location") if response.is_redirect else None
        where = None if location is None else shown_url(response.url.join(location), self.secrets)
        return BadStatus(method, shown, response.status_code, text, retry_after(response.headers), where)


async def _beginning(response: httpx.Response, most: int) -> tuple[bytes, bool]:
    """The first bytes of the content, and whether they are all of it."""
    content, whole = bytearray(), True
    try:
        async with asyncio.timeout(None) as reading:
            async for piece in response.aiter_bytes():
                if whole:
                    content += piece
                    if len(content) > most:
                        # Leaving the loop would leave the generators behind it to be closed by chance, in tasks of
                        # their own; a cancellation ends them from within.
                        whole = False
                        reading.reschedule(0)
    except TimeoutError:
        if whole:
            raise
    return bytes(content[:most]), whole


def built(client: Any, method: str, url: str, json: Any) -> httpx.Request:
    """The request as the client sends it, with its base address, headers and parameters, and those of the address."""
    import httpx

    request: httpx.Request = client.build_request(
        method, url, params=httpx.URL(url).params or None, json=ANYTHING.dump_python(json, mode="json")
    )
    return request


def _asked(error: Exception) -> float | None:
    """The seconds that the service asks to wait."""
    return error.retry_after if isinstance(error, BadStatus) else None
