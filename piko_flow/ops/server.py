"""Serving HTTP beside the control half, with signals that drain."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Protocol

import uvicorn

from piko_flow.dataflow.running.task_group import task_group
from piko_flow.ops.app import make_api
from piko_flow.ops.health import Alive

SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger("piko_flow.server")


class Runnable(Alive, Protocol):
    """An application that works while a block is open."""

    def running(self) -> AbstractAsyncContextManager[None]: ...


class _Server(uvicorn.Server):
    """Answers probes until the drain is over, so signals are not its business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(process: Runnable, address: socket.socket) -> None:
    """Work and answer HTTP at the address until a signal comes; then drain, answering meanwhile, and end.

    Raises KeyboardInterrupt at a second signal, which ends the process without waiting for runs.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    config = uvicorn.Config(
        make_api(process, running=None),
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    for number in SIGNALS:
        loop.add_signal_handler(number, _signalled, loop, stop)
    try:
        async with task_group() as tasks:
            serving = tasks.create_task(server.serve(sockets=[address]), name="http")
            try:
                async with process.running():
                    host, port = address.getsockname()[:2]
                    log.info("%s serves at http://%s:%d as %s", process.name, host, port, process.replica_id)
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
    for number in SIGNALS:
        loop.remove_signal_handler(number)
