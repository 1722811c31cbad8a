"""The door: every request passes it, and nothing comes in but what it knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from contextlib import ExitStack
from typing import Any, Final, TypeAlias

from starlette.requests import ClientDisconnect

from piko_flow.errors import StoreUnavailable
from piko_flow.ops.console.assets import assets
from piko_flow.ops.door.answers import Answers
from piko_flow.ops.door.asked import Asked, form_fields
from piko_flow.ops.door.doorkeeper import Doorkeeper
from piko_flow.ops.door.hosts import comes_from_own_page, may_be_called
from piko_flow.ops.door.long_answers import CutOff
from piko_flow.ops.door.request_body import ClientLeft, Message, Receive, has_body, read_body, replayed
from piko_flow.ops.door.security_headers import guarded
from piko_flow.ops.door.token_secrets import same
from piko_flow.ops.door.turned_away import TurnedAway
from piko_flow.ops.door_options import KILOBYTE
from piko_flow.ops.visitor import Visitor
from piko_flow.store.ops_records import Role

Scope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PROBES: Final = ("/livez", "/healthz", "/readyz")
OPEN: Final = (*PROBES, "/version")
METRICS: Final = "/metrics"
LOGIN: Final = "/login"
OWN_BROWSER: Final = (
    "/logout",
    "/console/theme",
    "/console/message/close",
)  # what these change is a cookie of who asks
LOGIN_BODY: Final = 8 * KILOBYTE
CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf_token"
FORM: Final = "application/x-www-form-urlencoded"


class Door:
    """ASGI middleware around a whole application, outside of all others.

    Only the probes, the page to log in at and the files of the console, each by its exact path, are answered without a
    token; `/metrics` where the options say so. Everything else gets `state["visitor"]`, or is not reached. What
    may change something needs the role of an operator, whatever the route says, and comes with its body read.
    Every answer gets the security headers. Answers pass as they come, so streams do.
    """

    def __init__(self, app: Application, *, keeper: Doorkeeper, answers: Answers) -> None:
        self._app, self._keeper, self._answers = app, keeper, answers
        self._files: Collection[str] = {one.address for one in assets().values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing of ours speaks over web sockets
            await send({"type": "websocket.close", "code": 1008})
            return
        asked = Asked.of(scope)
        guarded_send = _guarding(send, secure=asked.secure)
        with ExitStack() as stack:
            try:
                scope, receive = await self._let_in(asked, scope, receive, stack)
            except ClientLeft:
                return
            except (TurnedAway, StoreUnavailable) as why:
                await self._answers.to(asked, scope, why)(scope, receive, guarded_send)
                return
            await self._answer(asked, scope, receive, guarded_send)

    async def _answer(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, for as long as the visitor is let in."""
        if "visitor" not in scope["state"]:
            await self._app(scope, receive, send)
            return
        long = self._keeper.long_answer(asked, send)
        try:
            await self._app(scope, receive, long)
        except (CutOff, ClientDisconnect):
            if not long.is_cut:
                raise

    async def _let_in(
        self, asked: Asked, scope: Scope, receive: Receive, stack: ExitStack
    ) -> tuple[Scope, Receive]:
        """What the application gets of the request. Raises TurnedAway, StoreUnavailable, ClientLeft.

        What has to last until the answer is over is put on the stack.
        """
        options = self._keeper.options
        self._check_meant_for_us(asked)
        if self._needs_no_token(asked):
            return _with_state(scope), receive
        if asked.path == LOGIN and asked.method in ("GET", "POST"):
            if asked.changes:
                _check_own_page(asked)
                body = await read_body(asked, receive, limit=LOGIN_BODY, within=options.body_within)
                receive = replayed(body, receive)
            return _with_state(scope), receive
        visitor = await self._keeper.visitor(asked)
        _check_path(asked)
        stack.enter_context(self._keeper.counted(visitor))
        if asked.changes:
            _check_own_page(asked)
            _check_role(asked, visitor)
        if asked.changes or has_body(asked):
            body = await read_body(asked, receive, limit=options.body, within=options.body_within)
            receive = replayed(body, receive)
            if asked.changes and visitor.csrf:
                _check_csrf(asked, visitor, body)
        return _with_state(scope, visitor=visitor), receive

    def _check_meant_for_us(self, asked: Asked) -> None:
        if repeated := asked.repeats:
            rule = f"the header {repeated} comes once"
            raise TurnedAway(400, "Contradicting headers", rule=rule, got="it came several times")
        if asked.path in PROBES:  # asked by programs that know an address alone, and telling no secrets
            return
        if not may_be_called(asked.host, bound=asked.bound, allowed=self._keeper.options.hosts):
            raise TurnedAway(
                421,
                "Not this server",
                rule="the Host header has to name this server",
                got=f"it names {asked.host[:100]!r}",
                advice="If that is a name of this server, add it to the setting allowed_hosts",
            )

    def _needs_no_token(self, asked: Asked) -> bool:
        if asked.method not in ("GET", "HEAD"):
            return False
        if asked.path == METRICS:
            return self._keeper.options.metrics_open
        return asked.path in OPEN or asked.path in self._files


def _check_path(asked: Asked) -> None:
    """Routes are matched by patterns, to which a line break at the end of a path is nothing."""
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in asked.path):
        raise TurnedAway(404, "Not found", rule="a path has no control characters", got="got one")


def _check_own_page(asked: Asked) -> None:
    origin, site = asked.header("origin"), asked.header("sec-fetch-site")
    if not comes_from_own_page(host=asked.host, origin=origin, fetch_site=site):
        raise TurnedAway(
            403,
            "From another page",
            rule="what a browser changes has to be asked for by a page of this server",
            got=f"it came from {(origin or site or '')[:100]!r}",
            advice="A proxy in between has to pass the Host header on unchanged",
        )


def _check_role(asked: Asked, visitor: Visitor) -> None:
    """A viewer changes nothing, by no route: neither by one that forgot to ask for a role."""
    if not visitor.may(Role.OPERATOR) and asked.path not in OWN_BROWSER:
        raise TurnedAway(
            403,
            "Not allowed",
            rule=f"a change needs the role {Role.OPERATOR}",
            got=f"{visitor.name!r} is {visitor.role}",
        )


def _check_csrf(asked: Asked, visitor: Visitor, body: bytes) -> None:
    sent = asked.header(CSRF_HEADER)
    if sent is None and (asked.header("content-type") or "").partition(";")[0].strip().lower() == FORM:
        try:
            sent = form_fields(body).get(CSRF_FIELD)
        except ValueError:  # more fields than any form of ours has
            sent = None
    if sent is None or not same(sent, visitor.csrf):
        raise TurnedAway(
            403,
            "An old page",
            rule=f"a change in a browser carries the session's {CSRF_FIELD}, or the header X-CSRF-Token",
            got="got none" if sent is None else "got that of another session",
            advice="Load the page again and do it once more",
        )


def _with_state(scope: Scope, **values: Any) -> Scope:
    """The scope with these values in its state, of which nothing else is kept that may be a visitor."""
    state = {name: value for name, value in scope.get("state", {}).items() if name != "visitor"}
    return {**scope, "state": {**state, **values}}


def _guarding(send: Send, *, secure: bool) -> Send:
    async def guarded_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": guarded(message.get("headers", ()), secure=secure)}
        await send(message)

    return guarded_send
