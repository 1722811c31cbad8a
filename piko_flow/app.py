"""An application: settings, flows and sinks put together, run by itself or under an ASGI server."""

from __future__ import annotations

import asyncio
import logging
import shlex
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from piko_flow.clock import Clock
from piko_flow.connectors.spool_folder import state_home
from piko_flow.control.flows.discovery import discover
from piko_flow.control.flows.flow import Flow, default_registry
from piko_flow.control.flows.registry import Registry
from piko_flow.control.notice_options import NoticeOptions
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.params.redaction import Redaction
from piko_flow.control.runs.emitting import ItemKey, Writer
from piko_flow.control.runs.registered_sink import RegisteredSink
from piko_flow.control.service import ControlService
from piko_flow.control.watched import Watched
from piko_flow.control.watching import watched_by, watching
from piko_flow.errors import NotRunning, PikoFlowError
from piko_flow.ops.door_options import KILOBYTE, DoorOptions
from piko_flow.settings import Settings, load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.ops.metrics import MetricsPage
    from piko_flow.store.protocols import Store
    from piko_flow.telemetry.providers import Providers

T = TypeVar("T")
MEGABYTE = 1024 * 1024
STARTING = "is starting"
START = "Run it within `async with app.running():`, as in the lifespan of what it is mounted in"

log = logging.getLogger("piko_flow.app")


class PortTaken(PikoFlowError):
    """The address of the HTTP side is in use or may not be used."""


class App:
    """Schedules and runs the registered flows, and serves HTTP.

    `app.run()` does so until SIGTERM or Ctrl-C; `app.api` is the same for any ASGI server, whose lifespan
    starts and stops it. Without `settings` they are loaded from files and variables when it starts. `packages`
    are discovered at start, besides those of the settings. `clock` is the host's unless another is given.
    """

    def __init__(
        self,
        name: str = "piko-flow",
        *,
        registry: Registry[Flow] | None = None,
        settings: Settings | None = None,
        packages: Iterable[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.registry: Registry[Flow] = default_registry if registry is None else registry
        self._given, self._packages, self._clock = settings, tuple(packages), clock
        self._service: ControlService | None = None
        self._state = "has not been started"
        self._metrics: MetricsPage | None = None
        self._sinks: list[RegisteredSink] = []
        self._address = ""

    @cached_property
    def settings(self) -> Settings:
        """The settings in force; loaded at first use. Raises SettingsRefused."""
        return load_settings() if self._given is None else self._given

    @property
    def version(self) -> str:
        """The version of Piko Flow."""
        from piko_flow.versions import installed_version

        return installed_version()

    @property
    def replica_id(self) -> str:
        """The id of this process as a replica; empty before it has started."""
        return self._service.record.id if self._service is not None else ""

    @property
    def metrics_enabled(self) -> bool:
        """Whether there is a page of metrics while the application runs. Raises SettingsRefused."""
        return self.settings.metrics_enabled

    @property
    def metrics(self) -> MetricsPage | None:
        """The page of metrics; None while the application is not running, and where the settings switch it off."""
        return self._metrics

    @property
    def service(self) -> ControlService:
        """The running control half. Raises RuntimeError while the application is not running."""
        if self._service is None:
            raise RuntimeError(f"the application {self.name!r} is not running")
        return self._service

    def register_sink(
        self,
        name: str,
        sink: Any,
        *,
        models: Iterable[type] = (),
        key: ItemKey = None,
        whole: bool = False,
        spool: bool = True,
    ) -> None:
        """Let `run.emit(..., to=name)` and `app.emit(..., to=name)` reach this sink; before the application starts.

        `sink` is an object with `write(items)`, a function of one item, or a chain that ends in sinks, such as a Route.
        What is emitted is kept on the disk by a spool and written from there, at least once; `sink` may be a Spool with
        options of its own. `models` are the classes of models that may be emitted: the sink must take each of them.
        `key` gives an item's key where `emit` is given none: the name of its field, or a function of it. With `whole`
        the sink gets Spooled values, with key, flow and run, instead of what was emitted.

        With `spool=False` nothing is kept on the disk: what a run emits is written before the run ends, and a sink that
        fails on it fails the run; any object can be emitted, and `whole` gives Emitted values. Raises PipelineError for
        what is no sink, a name that is taken, and a model that the sink does not take.
        """
        if self._service is not None:
            raise RuntimeError(f"register the sink {name!r} before the application starts")
        chosen = RegisteredSink(name, sink, tuple(models), key, whole, spool)
        chosen.check([one.name for one in self._sinks])  # refused here, at the line of the user's mistake
        self._sinks.append(chosen)

    async def emit(self, payload: Any, *, to: str, key: str | None = None) -> None:
        """Hand a payload to a registered sink from outside of a run; waits while that is full.

        Returns when the payload is on the disk, or, where the sink has no spool, when it has been written. Raises what
        the spool's `accept` or the sink raised.
        """
        await self.service.emit(payload, to=to, key=key)

    async def ask(self, work: Callable[[ControlPlane], Awaitable[T]]) -> T:
        """What the control plane answers, from any loop; the work is done on the control thread.

        Raises RequestRefused, StoreUnavailable, and its kind NotRunning while the application is not running.
        """
        if self._service is None:
            advice = "" if self._state == STARTING else START
            raise NotRunning(name=self.name, state=self._state, advice=advice)
        return await self._service.call(work)

    @property
    def door(self) -> DoorOptions:
        """How the door of the HTTP side behaves. Raises SettingsRefused."""
        settings = self.settings
        return DoorOptions(
            hosts=settings.allowed_hosts,
            proxies=settings.forwarded_allow_ips,
            metrics_open=settings.metrics_open,
            body=settings.max_body_kb * KILOBYTE,
            rate=settings.request_rate,
            idle=timedelta(hours=settings.session_hours),
        )

    def lives(self) -> list[str]:
        """What keeps the process from working at all; empty when nothing does."""
        return self._service.lives() if self._service is not None else []

    def readiness(self) -> tuple[str, list[str]]:
        """The role of this replica, and what keeps it from working."""
        if self._service is None:
            return "starting", ["it has not started yet"]
        return self._service.readiness()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Schedule and run flows while the block is open; leaving it drains."""
        if self._service is not None:
            raise RuntimeError(f"the application {self.name!r} is running already")
        self._state = STARTING
        try:
            providers = self._make_providers()
            async with watching(providers, level=self.settings.effective_log_level):
                service = self._make_service(watched_by(providers))
                await service.start()
                self._service = service
                try:
                    async with self._measured(providers):
                        yield
                finally:
                    try:
                        await service.stop()
                    finally:
                        self._service = None
        finally:
            self._state = "has stopped"

    @cached_property
    def api(self) -> FastAPI:
        """The application for an ASGI server: `uvicorn module:app.api`. Its lifespan schedules and runs flows."""
        from piko_flow.ops.app import make_api

        return make_api(self, running=self.running)

    def run(self, *, host: str | None = None, port: int | None = None, link: bool | None = None) -> None:
        """Schedule, run and serve until SIGTERM or SIGINT; then drain. A second signal ends it without waiting.

        With `link` standard error gets a link that logs a browser in, once; by default where that is a terminal.
        Raises PortTaken, StoreUnavailable, FlowError, SettingsRefused before anything has started.
        """
        from piko_flow.ops.door.link import address_of
        from piko_flow.ops.server import interrupted_at_once, serve
        from piko_flow.telemetry.logs import configure_logging

        settings = self.settings
        configure_logging(settings.effective_log_level, as_json=settings.log_json)
        self._discover()
        if not len(self.registry):
            log.warning(
                "no flow is registered: name a package, or set PIKO_PACKAGES; only rows are looked at"
            )
        address = listen(host or settings.health_host, settings.health_port if port is None else port)
        with address:
            self._address = address_of(*address.getsockname()[:2])
            wanted = sys.stderr.isatty() if link is None else link
            with interrupted_at_once():
                asyncio.run(serve(self, address, tell=_tell if wanted else None))

    def _discover(self) -> None:
        for package in dict.fromkeys((*self._packages, *self.settings.packages)):
            discover(package, registry=self.registry)
        self.registry.check()

    @asynccontextmanager
    async def _measured(self, providers: Providers) -> AsyncIterator[None]:
        """Inside the block there is a page of metrics, if the settings want one."""
        from piko_flow.ops.metrics import MetricsPage

        if providers.registry is None:
            yield
            return
        self._metrics = MetricsPage(providers.registry)
        fresh = asyncio.create_task(self._metrics.keep_fresh(), name="metrics")
        try:
            yield
        finally:
            self._metrics = None
            fresh.cancel()
            await asyncio.wait([fresh])

    def _make_providers(self) -> Providers:
        from piko_flow.telemetry.providers import Providers

        return Providers(service=self.name, version=self.version, prometheus=self.settings.metrics_enabled)

    def _make_service(self, watched: Watched) -> ControlService:
        settings = self.settings
        self._discover()
        writer = Writer(
            limit=settings.persist_queue_max,
            flush_timeout=settings.persist_flush_timeout_s,
            folder=Path(folder).expanduser() if (folder := settings.persist_disk_fallback_path) else None,
            database=settings.database_url,
            redaction=self._redaction,
        )
        for sink in self._sinks:
            sink.register(writer)
        return ControlService(
            open_store=self._open_store,
            registry=self.registry,
            options=replace(replica_options(settings), address=self._address),
            writer=writer,
            cpu_workers=settings.cpu_workers or None,
            workers_per_run=settings.per_job_cpu_max,
            version=self.version,
            clock=self._clock,
            watched=watched,
        )

    def _redaction(self, flow: str) -> Redaction:
        own = self.registry[flow].redact if flow in self.registry else ()
        return Redaction.of(own, self.settings.redact)

    @asynccontextmanager
    async def _open_store(self) -> AsyncIterator[Store]:
        from piko_flow.store.opening import open_store

        settings = self.settings
        store = await open_store(
            settings.database_url,
            clock=self._clock,
            pool_size=settings.mysql_pool_size,
            max_overflow=settings.mysql_max_overflow,
            pool_recycle=timedelta(seconds=settings.mysql_pool_recycle_s),
            lease=timedelta(seconds=settings.leader_lease_s),
        )
        try:
            yield store
        finally:
            await store.close()


def _tell(text: str) -> None:
    """Show a person at the terminal something that must not get into a log."""
    sys.stderr.write(f"\n{text}\n\n")
    sys.stderr.flush()


def replica_options(settings: Settings) -> ReplicaOptions:
    """How a replica behaves by these settings."""

    def span(seconds: float) -> timedelta:
        return timedelta(seconds=seconds)

    return ReplicaOptions(
        lease_name=settings.leader_name,
        lease=span(settings.leader_lease_s),
        renew_every=span(settings.leader_renew_interval_s),
        elected=settings.leader_enabled,
        alive=span(settings.replica_lease_s),
        poll_every=span(settings.poll_s),
        reconcile_every=span(settings.poll_interval_s),
        reconcile_jitter=span(settings.poll_jitter_s),
        slots=settings.max_runs,
        drain=span(settings.drain_s),
        execute=settings.execute,
        pause_after=settings.pause_after_failures,
        group_limits=settings.concurrency_groups,
        zone=settings.timezone,
        runs_kept_for=timedelta(days=settings.retention_runs_days) if settings.retention_runs_days else None,
        runs_kept=settings.retention_runs_per_flow or None,
        letters_kept_for=timedelta(days=kept) if (kept := settings.retention_dead_letters_days) else None,
        redact=settings.redact,
        letter_folder=letter_folder(settings),
        letter_room=settings.dead_letter_folder_mb * MEGABYTE,
        first_grace=span(settings.ap_misfire_grace_s_default),
        first_instances=settings.ap_max_instances_default,
        patient=settings.startup_mode == "fail_open",
        notices=NoticeOptions(
            webhook=settings.notice_webhook.get_secret_value(),
            command=tuple(shlex.split(settings.notice_command.get_secret_value())),
            late=span(settings.notice_late_s),
            letters=settings.notice_dead_letters,
            leaderless=span(settings.notice_leaderless_s),
        ),
    )


def letter_folder(settings: Settings) -> Path | None:
    """Where items of dead letters lie that are too large for a row; None for a user without a home."""
    if settings.dead_letter_folder:
        return Path(settings.dead_letter_folder).expanduser()
    home = state_home()
    return None if home is None else home / "letters"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises PortTaken where that cannot be."""
    try:
        made = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        # What is accepted inherits it, and asyncio sets it on sockets of another making only: without it the body of an
        # answer waits 40 ms behind its head.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    except OSError as error:
        advice = "name another with --port or PIKO_HEALTH_PORT (0 takes a free one)"
        raise PortTaken(
            f"cannot listen on {host} port {port}: {error.strerror or error}; {advice}"
        ) from error
