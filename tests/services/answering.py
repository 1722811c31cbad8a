"""A service on a port of the loopback whose answers a test writes as functions."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import uvicorn

PATIENCE = 30.0  # seconds for the server to begin and to end


@dataclass(frozen=True)
class Asked:
    """A request as it arrived; `query` has the last value of each parameter."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Told:
    """An answer. `pieces` is sent instead of `body`, one piece after the other, each awaited before it is sent."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Callable[[], Any] | None = None

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Answers = Callable[[Asked], "Told | Awaitable[Told]"]


class Service:
    """Answers each request by `answers`, a function of what was asked; `asked` is all of it, in order."""

    def __init__(self, answers: Answers, listening: socket.socket | None = None) -> None:
        self.answers, self.asked = answers, list[Asked]()
        self._listening = listening or socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        # As it was sent: %2F in a path stays what it is.
        path = scope["raw_path"].decode()
        query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked = Asked(scope["method"], path, query, headers, body)
        self.asked.append(asked)
        given = self.answers(asked)
        told = given if isinstance(given, Told) else await given
        headers = {"content-type": "application/json", **told.headers}
        lines = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": told.status, "headers": lines})
        if told.pieces is not None:
            async for piece in told.pieces():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"" if told.pieces is not None else told.content})

    @contextmanager
    def running(self) -> Iterator[Service]:
        """Serve in a thread of its own while the block is open; connections that hang are cut at its end."""
        config = uvicorn.Config(
            self, lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=1, access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [self._listening]}, name="service of a test"
        )
        thread.start()
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            self._listening.close()
            assert not thread.is_alive()


@contextmanager
def serving(answers: Answers) -> Iterator[Service]:
    """A service that answers while the block is open."""
    with Service(answers).running() as service:
        yield service
