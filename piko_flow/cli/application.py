"""The application as a command sees it: settings, the flows of its packages, the control plane over its database."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from piko_flow.cli.mistakes import CommandMistake, printable

if TYPE_CHECKING:
    from piko_flow.control.flows.flow import Flow
    from piko_flow.control.flows.registry import Registry
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.settings import Settings
    from piko_flow.store.protocols import Store

    OpensStore: TypeAlias = Callable[[Settings], Awaitable[Store]]

T = TypeVar("T")

SQLITE = "sqlite+aiosqlite:///"
_opens: ContextVar[OpensStore | None] = ContextVar("opens", default=None)


@contextmanager
def stores_opened_by(opens: OpensStore) -> Iterator[None]:
    """Inside the block commands get their store from this function instead of the database of the settings."""
    token = _opens.set(opens)
    try:
        yield
    finally:
        _opens.reset(token)


def asked(
    work: Callable[[ControlPlane], Awaitable[T]], *, packages: Sequence[str] = (), database: str | None = None
) -> T:
    """What `work` gives, asked of the plane of the application: the flows of `packages`, else of the setting of that
    name, and the database of the settings, else the one named.

    Raises SettingsRefused, DiscoveryFailed, FlowError, StoreUnavailable, CommandMistake where there is no database
    yet or none of our tables in it, and what `work` raises.
    """
    settings = settings_in_force(database)
    registry = flows_of(packages or settings.packages)

    async def ask() -> T:
        async with opened(settings, registry) as plane:
            return await work(plane)

    return asyncio.run(ask())


def settings_in_force(database: str | None = None) -> Settings:
    """The settings, from files and variables; what nothing reads among them is told on standard error."""
    from piko_flow.settings import UnknownSetting, load_settings

    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always", UnknownSetting)
        settings = load_settings(database=database)
    for warning in met:
        print(f"warning: {printable(str(warning.message))}", file=sys.stderr, flush=True)
    return settings


def flows_of(packages: Sequence[str]) -> Registry[Flow]:
    """The flows of these packages, which fit together."""
    from piko_flow.control.flows.discovery import discover
    from piko_flow.control.flows.registry import Registry

    registry: Registry[Flow] = Registry()
    for package in dict.fromkeys(packages):
        discover(package, registry=registry)
    registry.check()
    return registry


@asynccontextmanager
async def opened(settings: Settings, registry: Registry[Flow]) -> AsyncIterator[ControlPlane]:
    """The plane over the database of the settings, closed at the end of the block."""
    from piko_flow.app import replica_options
    from piko_flow.clock import SystemClock
    from piko_flow.control.operations.plane import ControlPlane

    store = await (_opens.get() or open_database)(settings)
    try:
        yield ControlPlane(
            store=store, registry=registry, options=replica_options(settings), clock=SystemClock()
        )
    finally:
        await store.close()


async def open_database(settings: Settings) -> Store:
    """The database of the settings. One without our tables is left as it is: looking into it makes none."""
    from piko_flow.store.opening import open_store

    need_database(settings)
    if not await tables_are_there(settings):
        raise CommandMistake(
            f"the database at {settings.database_shown} ({_named(settings)}) has no table of Piko Flow; "
            "piko-flow db init makes them, and so does serve"
        )
    return await open_store(settings.database_url, pool_size=2, max_overflow=2)


def need_database(settings: Settings) -> None:
    """Raise CommandMistake where there is nothing to open."""
    if not database_is_there(settings):
        raise CommandMistake(
            f"there is no database at {settings.database_shown} ({_named(settings)}); "
            "piko-flow db init makes it, and so does serve"
        )


def database_is_there(settings: Settings) -> bool:
    """Whether there is something to open; False for a SQLite file that has not been made."""
    url = settings.database_url
    given = _opens.get() is not None
    return given or not url.startswith(SQLITE) or Path(url.removeprefix(SQLITE).partition("?")[0]).exists()


async def tables_are_there(settings: Settings) -> bool:
    """Whether the database has tables of ours, of whatever version. False where there is nothing to open."""
    if _opens.get() is not None:
        return True
    from piko_flow.store.migrations.looking import has_tables

    return database_is_there(settings) and (
        settings.database_url.startswith("memory:") or await has_tables(settings.database_url)
    )


def _named(settings: Settings) -> str:
    """By whom the database was named."""
    return f"setting database, from {settings.origin('database')}, seen from {Path.cwd()}"
