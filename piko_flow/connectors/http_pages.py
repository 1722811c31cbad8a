"""Reading a service's pages one after the other, to the end and not beyond."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from piko_flow.connectors.hidden_secrets import shown_url
from piko_flow.connectors.http_address import NO_ITEM, Address, param_texts
from piko_flow.connectors.http_errors import BadPaging, HttpFailed
from piko_flow.connectors.http_paging import Next, Page, Paging
from piko_flow.connectors.http_request import Answer, Asking
from piko_flow.connectors.json_path import at_path
from piko_flow.errors import describe_error, shorten

if TYPE_CHECKING:
    pass

Items: TypeAlias = str | Callable[[Any], Iterable[Any]]


@dataclass(frozen=True)
class HttpReader:
    """Asks for one page after the other and gives their items, each an instance of `of`."""

    address: Address
    sent: Asking
    items: Items | None
    paging: Paging | None
    max_pages: int
    repeats: bool
    of: type[Any]

    async def read(self, *, client: Any) -> AsyncIterator[Any]:
        """The items of the address, in order. Raises HttpFailed."""
        async for item in self.read_split(NO_ITEM, client=client):
            yield item

    async def read_split(self, split: Any, *, client: Any) -> AsyncIterator[Any]:
        """The items of the address that the split makes, in order. Raises HttpFailed, and ValueError for the split."""
        seen, read, url = _Seen(self), 0, self._first_url(split)
        for number in range(1, self.max_pages + 1):
            answer = await self.sent.ask(client, "GET", url)
            seen.address(answer)
            body = answer.json()
            items = self._items(answer, body)
            seen.items(answer, items)
            read += len(items)
            for item in items:
                yield item
            if self.paging is None:
                return
            following = self._next(Page(number, read, items, body, answer.headers, answer.links), answer)
            if following is None:
                return
            url = following
        raise BadPaging(
            "GET", shown_url(url, self.sent.secrets), f"more than max_pages={self.max_pages:,} pages"
        )

    def _first_url(self, split: Any) -> str:
        import httpx

        text, params = self.address.fill(split)
        first = getattr(self.paging, "first_params", None)
        params = {**params, **param_texts(first() if first is not None else {})}
        return str(httpx.URL(text).copy_merge_params(params)) if params else text

    def _items(self, answer: Answer, body: Any) -> list[Any]:
        try:
            items = self.items(body) if callable(self.items) else at_path(body, self.items or "")
        except ValueError as error:
            raise answer.bad(str(error)) from error
        if isinstance(items, (str, bytes, dict)) or not isinstance(items, Iterable):
            where = f"at {self.items!r}" if isinstance(self.items, str) else ""
            raise answer.bad(
                f"a page must hold a list of items {where}, got {shorten(items)}".replace(" ,", ",")
            )
        items = list(items)
        for item in items:
            if not isinstance(item, self.of):
                wanted = "an object" if self.of is dict else f"a {self.of.__name__}"
                raise answer.bad(f"an item must be {wanted}, got {shorten(item)}; of= takes another kind")
        return items

    def _next(self, page: Page, answer: Answer) -> str | None:
        import httpx

        assert self.paging is not None
        try:
            following: Next = self.paging(page)
            if following is None:
                return None
            here = httpx.URL(answer.url)
            if not isinstance(following, str):
                return str(here.copy_merge_params(param_texts(following)))
            there = here.join(following)
        except (ValueError, httpx.InvalidURL) as error:
            raise self._bad(
                answer, f"where the next page is cannot be told: {describe_error(error)}"
            ) from error
        if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
            elsewhere = shown_url(there, self.sent.secrets)
            raise self._bad(
                answer,
                f"the next page is to be on the same host, got {elsewhere}; "
                "a function for paging may give its path alone",
            )
        return str(there)

    def _bad(self, answer: Answer, reason: str) -> HttpFailed:
        return BadPaging(answer.method, shown_url(answer.url, self.sent.secrets), reason)


@dataclass
class _Seen:
    """What has come already: a digest of each address and of each page's items, at most `max_pages` of them."""

    reader: HttpReader
    addresses: set[bytes] = field(default_factory=set)
    pages: dict[bytes, int] = field(default_factory=dict)

    def address(self, answer: Answer) -> None:
        """Refuse an address that has been asked before."""
        digest = blake2b(answer.url.encode(), digest_size=16).digest()
        if digest in self.addresses:
            raise self.reader._bad(
                answer, "this page was asked for already, so the pages lead round in a circle"
            )
        self.addresses.add(digest)

    def items(self, answer: Answer, items: list[Any]) -> None:
        """Refuse items that an earlier page held, unless pages may be alike."""
        if self.reader.paging is None or self.reader.repeats or not items:
            return
        digest = blake2b(orjson.dumps(items), digest_size=16).digest()
        number = len(self.addresses)
        if (earlier := self.pages.setdefault(digest, number)) != number:
            raise self.reader._bad(
                answer,
                f"page {number} holds the same items as page {earlier}: the service may not know the parameters of "
                "paging=; where pages may be alike, give repeats=True",
            )
