"""The URL of a database that is not, or not only, the application's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from piko_flow.connectors.extras import require_extra
from piko_flow.connectors.refusing import Refuse

if TYPE_CHECKING:
    from sqlalchemy import URL

DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "mysql": "mysql+asyncmy",
    "mariadb": "mysql+asyncmy",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
EXAMPLES: Final = "sqlite:///file.db, mariadb://user:password@host/name, mysql://... or postgresql://..."
PORTS: Final = {"mysql": 3306, "postgresql": 5432}
LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def read_url(given: object, *, what: str, where: str, refuse: Refuse) -> URL:
    """The URL with the driver that is used for its database. What cannot be one is refused, without its password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    rule = f"url is one of {EXAMPLES}"
    if not isinstance(given, str):
        refuse(rule, f"got {type(given).__name__}", "")
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        refuse(rule, "this one cannot be read", "Check that it has the form of the examples")
    if "@" in (url.host or ""):
        refuse("user and password of a url must be percent-encoded", "an @ stands in them", "Write it as %40")
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None:
        refuse(rule, f"it begins with {url.drivername}", "Use one of the databases that are supported")
    if driver.startswith("sqlite") and (not url.database or url.database == ":memory:"):
        refuse(rule, "it names no file", "Name one: sqlite:///relative.db or sqlite:////absolute.db")
    if driver.startswith("postgresql"):
        require_extra("postgres", "asyncpg", what=what, where=where)
    if driver.startswith("mysql") and "charset" not in url.query:
        url = url.update_query_dict({"charset": "utf8mb4"})
    return url.set(drivername=driver)


def place(url: URL) -> tuple[object, ...]:
    """What makes two URLs those of one database, whoever connects."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        return backend, str(Path(url.database or "").resolve())
    host = "localhost" if url.host in LOCAL else url.host
    return backend, host, url.port or PORTS[backend], url.database
