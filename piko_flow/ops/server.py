"""Serving HTTP beside the control half, with signals that drain."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Final, Protocol

import uvicorn
from starlette.types import ASGIApp

from piko_flow.ops.app import make_api
from piko_flow.ops.door.link import welcome
from piko_flow.ops.process import Process
from piko_flow.tasks import TaskGroup

CONNECTIONS = 1000  # at once; further ones are answered with 503
AT_ONCE = 5.0  # seconds from a second signal to the end of a process that does not end by itself
INTERRUPTED = 128 + signal.SIGINT  # as shells count
SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger("piko_flow.server")
_endings: Final[list[threading.Timer]] = []


class Runnable(Process, Protocol):
    """An application that works while a block is open."""

    def running(self) -> AbstractAsyncContextManager[None]: ...


class Server(uvicorn.Server):
    """Answers probes until the drain is over, so signals are not its business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_for(process: Process, api: ASGIApp) -> Server:
    """A server of the application: it does not say what it is, and believes no proxy but those of the settings."""
    config = uvicorn.Config(
        api,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,  # an address may hold the secret of a link
        server_header=False,
        proxy_headers=bool(process.door.proxies),
        forwarded_allow_ips=list(process.door.proxies),
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    return Server(config)


async def serve(
    process: Runnable, address: socket.socket, *, tell: Callable[[str], None] | None = None
) -> None:
    """Work and answer HTTP at the address until a signal comes; then drain, answering meanwhile, and end.

    `tell` shows the person at the terminal how to log in; it must not be a log, since logs are kept.
    Raises KeyboardInterrupt at a second signal, which ends the process without waiting for runs; it does so itself
    where user code has not let it end after AT_ONCE seconds.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    server = server_for(process, make_api(process, running=None))
    for number in SIGNALS:
        loop.add_signal_handler(number, _signalled, loop, stop)
    try:
        async with TaskGroup() as tasks:
            serving = tasks.create_task(server.serve(sockets=[address]), name="http")
            try:
                async with process.running():
                    host, port = address.getsockname()[:2]
                    log.info("%s serves at http://%s:%d as %s", process.name, host, port, process.replica_id)
                    if tell is not None:
                        tell(await welcome(process, host, port))
                    await stop.wait()
                    log.info("%s drains", process.name)
            finally:
                server.should_exit = True
            await serving
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def _signalled(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """The first signal asks for a drain; after it signals mean what they meant before."""
    stop.set()
    loop.remove_signal_handler(signal.SIGTERM)
    loop.add_signal_handler(
        signal.SIGINT, _interrupted
    )  # in the place of this one, so that none comes in between


def _interrupted() -> None:
    """What Ctrl-C means by itself, for code that takes it and for code that does not; the next one is met by nobody."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _endings.append(end_soon(INTERRUPTED))
    raise KeyboardInterrupt


def end_soon(code: int) -> threading.Timer:
    """End this process with that code in `AT_ONCE` seconds at the latest, whatever threads of it are held by.

    For a program that has nothing left to do: Python itself waits for the threads of pools as long as they take.
    Cancelling the timer takes it back.
    """
    ending = threading.Timer(AT_ONCE, os._exit, [code])
    ending.daemon = True
    ending.start()
    return ending


@contextmanager
def interrupted_at_once() -> Iterator[None]:
    """Around a loop that serves: who is interrupted a second time inside has `AT_ONCE` seconds to leave the block.

    After it what the caller does takes the time that it takes, and signals mean what they mean to Python.
    """
    try:
        yield
    finally:
        if _endings:
            while _endings:
                _endings.pop().cancel()
            signal.signal(signal.SIGINT, signal.default_int_handler)
