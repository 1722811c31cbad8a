"""A POST that ends within a time as a whole, whatever the other side does."""

from __future__ import annotations

import asyncio
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from piko_flow.errors import PikoFlowError, describe_error


class NotDelivered(PikoFlowError):
    """A notice did not reach the address or the program; the address is told without what may be secret in it."""


async def post(address: str, body: bytes, *, within: float) -> None:
    """Send JSON; the status alone is read. Raises NotDelivered for none within so many seconds and for a refusal."""
    sending = _Sending(address, body, within)
    try:
        async with asyncio.timeout(within):
            await asyncio.to_thread(sending.send)
    except TimeoutError:
        raise NotDelivered(f"{sending.host} did not answer a notice within {within:g} s") from None
    finally:
        sending.end()


class _Sending:
    """One POST in a thread. A socket's own timeout is for each piece of an answer, so another thread may end it."""

    def __init__(self, address: str, body: bytes, within: float) -> None:
        self._address, self._body, self._within = address, body, within
        self._connections: list[HTTPConnection] = []
        self._ended = False
        self.host = "the address"

    def send(self) -> None:
        """Ask, and wait for the status."""
        try:
            self.host = urlsplit(self._address).hostname or self.host
            kind = {"Content-Type": "application/json"}
            request = urllib.request.Request(self._address, self._body, kind, method="POST")
            opener = urllib.request.build_opener(_NoRedirects, _Http(self._made), _Https(self._made))
            opener.open(request, timeout=self._within).close()
        except urllib.error.HTTPError as error:
            error.close()
            raise NotDelivered(f"{self.host} answered {error.code} to a notice") from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            told = reason if isinstance(reason, str) else describe_error(reason, 100)
            raise NotDelivered(f"{self.host} could not be reached with a notice: {told}") from None
        except (
            HTTPException,
            ValueError,
        ):  # their words may hold the path, or what the other side likes to send
            raise NotDelivered(
                f"what {self.host} answered to a notice is not HTTP, or no URL leads there"
            ) from None

    def end(self) -> None:
        """Make the thread end if it has not, from another."""
        self._ended = True
        for connection in self._connections:
            if connection.sock is not None:
                with suppress(OSError):  # it is closed already
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def _made(self, connection: HTTPConnection) -> None:
        connect = connection.connect

        def connected() -> None:
            connect()
            if self._ended:
                connection.close()
                raise OSError("nobody waits for it any more")

        connection.connect = connected  # type: ignore[method-assign]
        self._connections.append(connection)


Made = Callable[[HTTPConnection], None]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Where the notice goes is said by the settings alone."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        return None


class _Http(urllib.request.HTTPHandler):
    """Shows each connection before it is used."""

    def __init__(self, made: Made) -> None:
        super().__init__()
        self._made = made

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(
            lambda *host, **options: _shown(HTTPConnection(*host, **options), self._made), req
        )


class _Https(urllib.request.HTTPSHandler):
    """Shows each connection before it is used."""

    def __init__(self, made: Made) -> None:
        super().__init__()
        self._made = made

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(
            lambda *host, **options: _shown(HTTPSConnection(*host, **options), self._made), req
        )


def _shown(connection: HTTPConnection, made: Made) -> HTTPConnection:
    made(connection)
    return connection
