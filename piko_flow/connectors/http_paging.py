"""Where the next page is: how services of different kinds tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from piko_flow.connectors.json_path import at_path
from piko_flow.known_names import unknown_options_refused


@dataclass(frozen=True)
class Page:
    """One page as it came: `number` counts from 1, `read` is how many items have come so far, those of it included."""

    number: int
    read: int
    items: list[Any]
    body: Any
    headers: Mapping[str, str]
    links: Mapping[str, str]


Next: TypeAlias = str | Mapping[str, Any] | None
Paging: TypeAlias = Callable[[Page], Next]
"""Gives the address of the next page, or the parameters that differ there; None after the last page."""


@unknown_options_refused
@dataclass(frozen=True)
class NextLink:
    """The body holds the address of the next page at `path`; where nothing is there, the page was the last."""

    path: str = "next"

    def __call__(self, page: Page) -> Next:
        return _text_or_end(at_path(page.body, self.path, None), f"the next link at {self.path!r}")


@unknown_options_refused
@dataclass(frozen=True)
class LinkHeader:
    """The header `Link` holds the address of the next page, as rel="next"; where it does not, the page was the last."""

    rel: str = "next"

    def __call__(self, page: Page) -> Next:
        return page.links.get(self.rel)


@unknown_options_refused
@dataclass(frozen=True)
class PageToken:
    """The body holds at `path` a token that asks for the next page as parameter `param`."""

    param: str = "page_token"
    path: str = "next_page_token"

    def __call__(self, page: Page) -> Next:
        token = at_path(page.body, self.path, None)
        if isinstance(token, int) and not isinstance(token, bool):
            token = str(token)
        token = _text_or_end(token, f"the token at {self.path!r}")
        return None if token is None else {self.param: token}


@unknown_options_refused
@dataclass(frozen=True)
class PageNumber:
    """The parameter `param` counts pages from `first`; the page after the last is empty.

    A page shorter than another is no sign of the end, as services give fewer items than they are asked for. With
    `total`, the path of the number of all items, the request for the empty page is spared, and an empty page before
    so many items have come is an error.
    """

    param: str = "page"
    first: int = 1
    total: str | None = None

    def first_params(self) -> Mapping[str, Any]:
        """What the request for the first page asks for."""
        return {self.param: self.first}

    def __call__(self, page: Page) -> Next:
        return None if _all_came(page, self.total) else {self.param: self.first + page.number}


@unknown_options_refused
@dataclass(frozen=True)
class Offset:
    """The parameter `param` is how many items to skip; an empty page is the end. For `total` see PageNumber.

    `size` is how many items a page is asked to have, in the parameter `size_param`; a service may give fewer.
    """

    param: str = "offset"
    size: int | None = None
    size_param: str = "limit"
    total: str | None = None

    def first_params(self) -> Mapping[str, Any]:
        """What the request for the first page asks for."""
        return {self.param: 0} if self.size is None else {self.param: 0, self.size_param: self.size}

    def __call__(self, page: Page) -> Next:
        return None if _all_came(page, self.total) else {self.param: page.read}


def _all_came(page: Page, path: str | None) -> bool:
    if path is None:
        return not page.items
    total = at_path(page.body, path)
    if isinstance(total, bool) or not isinstance(total, int):
        raise ValueError(f"the total at {path!r} must be a whole number, got {total!r:.80}")
    if not page.items and page.read < total:
        raise ValueError(f"page {page.number} is empty, though {page.read:,} of {total:,} items have come")
    return page.read >= total


def _text_or_end(value: object, what: str) -> str | None:
    if value is None or value in ("", False):
        return None
    if not isinstance(value, str):
        raise ValueError(f"{what} must be a text, got {value!r:.80}")
    return value
