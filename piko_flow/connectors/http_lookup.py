"""Asking a service about one item at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, NoReturn, TypeVar, overload

from pydantic import TypeAdapter, ValidationError
from typing_extensions import Unpack

from piko_flow.connectors.http_address import Address, Params
from piko_flow.connectors.http_options import RequestOptions, asking
from piko_flow.dataflow.graph.function import misfit
from piko_flow.dataflow.graph.origin import caller
from piko_flow.errors import PipelineError

R = TypeVar("R", covariant=True)
V = TypeVar("V")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


class HttpLookup(Generic[R]):
    """One request for each item: `Transform(HttpLookup("/places/{city}"), concurrency=20, uses={"client": shop})`.

    It gives the answer's JSON, None where the answer is empty; with `of=Model` a value of that type. `url` is an address
    in which `{city}` is the item's field or key, `{place.city}` one inside it and `{}` the item itself, or a function of
    the item; `params` are its query parameters, or a function of the item. `json` is a function that gives what is sent as
    the body. With `absent="none"` a 404 gives None; else it is an error as any other status.

    Attempts, `timeout` and `rate` are as in HttpSource. A request whose method is not idempotent (POST, PATCH) is sent
    again only when the service cannot have received it, unless `repeatable=True` says that it may be. `concurrency` of
    the Transform bounds how many are under way. Raises HttpFailed, and ValueError for an item that does not fit. Called in a
    function of your own, it is one question among others: `await place_of(order, client=client)`. Cancelling drops the
    request.
    """

    @overload
    def __init__(
        self: HttpLookup[Any],
        url: str | Callable[[Any], str],
        /,
        *,
        method: str = ...,
        params: Params | Callable[[Any], Params] | None = ...,
        json: Callable[[Any], Any] | None = ...,
        absent: Literal["fail", "none"] = ...,
        repeatable: bool = ...,
        **options: Unpack[RequestOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: HttpLookup[V],
        url: str | Callable[[Any], str],
        /,
        *,
        of: type[V],
        method: str = ...,
        params: Params | Callable[[Any], Params] | None = ...,
        json: Callable[[Any], Any] | None = ...,
        absent: Literal["fail"] = ...,
        repeatable: bool = ...,
        **options: Unpack[RequestOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: HttpLookup[V | None],
        url: str | Callable[[Any], str],
        /,
        *,
        of: type[V],
        absent: Literal["none"],
        method: str = ...,
        params: Params | Callable[[Any], Params] | None = ...,
        json: Callable[[Any], Any] | None = ...,
        repeatable: bool = ...,
        **options: Unpack[RequestOptions],
    ) -> None: ...
    def __init__(
        self,
        url: str | Callable[[Any], str],
        /,
        *,
        of: Any = None,
        method: str = "GET",
        params: Params | Callable[[Any], Params] | None = None,
        json: Callable[[Any], Any] | None = None,
        absent: Literal["fail", "none"] = "fail",
        repeatable: bool = False,
        **options: Unpack[RequestOptions],
    ) -> None:
        self.where = str(caller())
        own = ("of", "method", "params", "json", "absent", "repeatable")
        self.address = Address(url, params)
        self.sent = asking(options, self._refuse, repeatable=repeatable, own=own)
        self.method, self.json, self.takes = method, json, frozenset({404} if absent == "none" else ())
        self._adapter: TypeAdapter[Any] | None = None if of is None else TypeAdapter(of)
        if method not in METHODS:
            self._refuse(f"method must be one of {', '.join(METHODS)}", f"got {method!r:.80}")
        if absent not in ("fail", "none"):
            self._refuse('absent must be "fail" or "none"', f"got {absent!r:.80}")
        if not isinstance(repeatable, bool):
            self._refuse("repeatable must be True or False", f"got {repeatable!r:.80}")
        for option, value in (("url", url), ("params", params), ("json", json)):
            if callable(value) and (reason := misfit(value, 1)):
                self._refuse(f"the function for {option} is called with one item", reason)
        if json is not None and not callable(json):
            self._refuse("json must be a function of the item", f"got {type(json).__name__}")

    async def __call__(self, item: Any, client: Any) -> R:
        """Ask about the item, with an open `httpx.AsyncClient`."""
        import httpx

        text, params = self.address.fill(item)
        url = str(httpx.URL(text).copy_merge_params(params)) if params else text
        body = None if self.json is None else self.json(item)
        answer = await self.sent.ask(client, self.method, url, json=body, takes=self.takes)
        if answer.status in self.takes:
            return None  # type: ignore[return-value]  # R is V | None where a status is taken
        found = answer.json()
        if self._adapter is None:
            return found  # type: ignore[no-any-return]  # R is Any without of=
        try:
            return self._adapter.validate_python(found)  # type: ignore[no-any-return]  # R is what of= says
        except ValidationError as error:
            raise answer.bad(f"the answer does not fit: {error}") from error

    def _refuse(self, rule: str, got: str, advice: str = "") -> NoReturn:
        raise PipelineError(what="HttpLookup", where=self.where, rule=rule, got=got, advice=advice)
