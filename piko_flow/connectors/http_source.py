"""The answers of a service as a source of items, page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, overload

from typing_extensions import Unpack

from piko_flow.connectors.http_address import Address, Params
from piko_flow.connectors.http_client import HttpClient
from piko_flow.connectors.http_options import RequestOptions, asking
from piko_flow.connectors.http_pages import HttpReader, Items
from piko_flow.connectors.http_paging import Paging
from piko_flow.dataflow.graph.function import misfit
from piko_flow.dataflow.stages.resource import not_resource
from piko_flow.dataflow.stages.source import Source, Splits
from piko_flow.dataflow.stages.stage_options import whole

Value = TypeVar("Value", covariant=True)
V = TypeVar("V")
MOST_PAGES: Final = 10_000


class HttpSource(Source[Value], Generic[Value]):
    """The items that a service gives to GET requests, page by page; needs the extra `http`.

    `url` is an address, complete or behind the `base_url` of `client`; `params` are its query parameters, a window's
    ends among them: `{"from": run.window.start, "to": run.window.end}`. Datetimes are written in UTC with a Z, None
    leaves a parameter out. `client` is an HttpClient, or any resource that opens an `httpx.AsyncClient`. `items` is the
    path of the items in an answer, such as "data.items", or a function that finds them; without it the answer is the
    list. Each item must be an object, given as a dict; `of=str` (or list, ...) takes another kind, `of=object` any.

    `paging` tells where the next page is: NextLink, LinkHeader, PageToken, PageNumber, Offset, or a function of the
    Page. Without it there is one page. A page that is asked for again, or that holds the same items as an earlier one,
    and more than `max_pages` are BadPaging rather than read for ever; `repeats=True` allows pages with the same items.
    Pages of another host or port are refused, as they would get the client's headers.

    With `splits` each split is a unit of its own: `{}` in the address is the split, `{name}` its field, and `url` and
    `params` may be functions of it. Requests follow one another; how each is sent, RequestOptions says: attempts by
    `retry` for no answer, 429 and 5xx, as late as `Retry-After` asks but at most `longest_wait`; `timeout` for one
    attempt as a whole; `max_bytes` of one answer; `rate`, a RateLimit; `secrets`, names of parameters not to be shown.
    What cannot be had fails the run with HttpFailed. Order: as the service gives them. Cancelling drops the request.
    """

    @overload
    def __init__(
        self: HttpSource[dict[str, Any]],
        url: str | Callable[[Any], str],
        /,
        *,
        client: Any = ...,
        params: Params | Callable[[Any], Params] | None = ...,
        items: Items | None = ...,
        paging: Paging | None = ...,
        max_pages: int = ...,
        repeats: bool = ...,
        splits: Splits[Any] | None = ...,
        name: str | None = ...,
        **options: Unpack[RequestOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: HttpSource[V],
        url: str | Callable[[Any], str],
        /,
        *,
        of: type[V],
        client: Any = ...,
        params: Params | Callable[[Any], Params] | None = ...,
        items: Items | None = ...,
        paging: Paging | None = ...,
        max_pages: int = ...,
        repeats: bool = ...,
        splits: Splits[Any] | None = ...,
        name: str | None = ...,
        **options: Unpack[RequestOptions],
    ) -> None: ...
    def __init__(
        self,
        url: str | Callable[[Any], str],
        /,
        *,
        of: type[Any] = dict,
        client: Any = None,
        params: Params | Callable[[Any], Params] | None = None,
        items: Items | None = None,
        paging: Paging | None = None,
        max_pages: int = MOST_PAGES,
        repeats: bool = False,
        splits: Splits[Any] | None = None,
        name: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> None:
        self._describe(name=name, fallback="http")
        own = ["of", "client", "params", "items", "paging", "max_pages", "repeats", "splits", "name"]
        sent = asking(options, self.refuse, own=own)
        address = Address(url, params)
        reader = HttpReader(address, sent, items, paging, max_pages, repeats, of)
        client = HttpClient() if client is None else client
        if reason := not_resource(client):
            self.refuse("client must be an HttpClient, or another resource", *reason)
        uses = {"client": client}
        if splits is None:
            super().__init__(reader.read, name=self.name, uses=uses)
        else:
            super().__init__(reader.read_split, splits=splits, name=self.name, uses=uses)
        self._check_reader(reader)

    def _check_reader(self, reader: HttpReader) -> None:
        whole(self, "max_pages", reader.max_pages)
        if not isinstance(reader.repeats, bool):
            self.refuse("repeats must be True or False", f"got {reader.repeats!r:.80}")
        if not isinstance(reader.of, type):
            self.refuse("of must be a class such as dict, list or object", f"got {reader.of!r}")
        for option, value in (("items", reader.items), ("paging", reader.paging)):
            if callable(value) and (reason := misfit(value, 1)):
                self.refuse(f"the function for {option} is called with one argument", reason)
            elif (
                value is not None
                and not callable(value)
                and (option == "paging" or not isinstance(value, str))
            ):
                kinds = "a path or a function" if option == "items" else "such as NextLink(), or a function"
                self.refuse(f"{option} must be {kinds}", f"got {value!r:.80}")
        if self.splits is None and reader.address.takes_item:
            self.refuse(
                "an address without splits has no places to fill and is no function",
                f"got {reader.address.text!r:.80}",
                "Give splits=, one for each address",
            )

    def gives(self, incoming: Any) -> Any:
        of = self.items.__self__.of
        return dict[str, Any] if of is dict else of
