"""What a setting's value may be, and how text from a variable becomes one."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from piko_flow.settings.sources import URL, nearest

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "mysql": "mysql+asyncmy",
    "mariadb": "mysql+asyncmy",
    "mariadb+asyncmy": "mysql+asyncmy",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
YEAR = 366 * 86_400  # seconds; longer waits are typing errors, and far longer ones overflow a timedelta


def with_driver(url: str) -> str:
    """The URL with the asynchronous driver that is used for it: mysql://… gives mysql+asyncmy://…"""
    scheme, separator, rest = url.partition("://")
    return DRIVERS.get(scheme.lower(), scheme.lower()) + separator + rest


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _names(value: object) -> object:
    """A list as it is; text, as a variable holds it, as JSON or as names between commas."""
    if not isinstance(value, str):
        return value
    return _json(value) if value.lstrip().startswith("[") else value.replace(",", " ").split()


def _limits(value: object) -> object:
    """A table as it is; text, as a variable holds it, as JSON or as name=limit between commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return _json(value)
    pairs = [one.partition("=") for one in value.replace(",", " ").split()]
    return {name: limit for name, _, limit in pairs}


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"must be JSON where it begins as JSON does ({error})") from None


def _package(name: str) -> str:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError("must be the dotted name of a package, as import takes it")
    return name


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = nearest(name, available_timezones())
        raise ValueError(
            f"must be a time zone of the IANA database, like UTC or Europe/Berlin{hint}"
        ) from None
    return name


def _level(value: object) -> object:
    level = value.strip().upper() if isinstance(value, str) else value
    return "WARNING" if level == "WARN" else level


def _database(given: SecretStr) -> SecretStr:
    """Refuse what names no database that can be used; empty means not given."""
    text = given.get_secret_value()
    if not text:
        return given
    url = URL.fullmatch(text)
    if url is None and text.count("@") > 1:
        raise ValueError("must have a user and password that are percent-encoded ('@' as %40)")
    scheme = with_driver(text).partition("://")[0]
    if url is None or scheme not in DRIVERS.values():
        raise ValueError(
            "must be a URL like sqlite:///piko.db, mysql+asyncmy://user:password@host:port/database "
            "or postgresql+asyncpg://user:password@host:port/database"
        )
    path = url["path"] or ""
    if scheme.startswith("sqlite"):
        if not path or path == ":memory:" or url["host"]:
            raise ValueError("must name a file: sqlite:///relative.db or sqlite:////absolute.db")
    elif not path:
        raise ValueError("must name a database after the host: …@host:port/database")
    elif int(url["port"] or 0) > 65_535:
        raise ValueError("must have a port of at most 65535")
    return given


def _mysql(given: SecretStr) -> SecretStr:
    if given.get_secret_value() and not with_driver(given.get_secret_value()).startswith("mysql+asyncmy://"):
        raise ValueError("must be a URL of MySQL or MariaDB; the setting `database` takes others")
    return given


def _host(name: str) -> str:
    """Refuse what is no name by itself; one with a port or a star would never match, or match too much."""
    if re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", name.lower()) is None or len(name) > 253:
        raise ValueError("must be the name of a host, without https:// and port, like flows.example.com")
    return name.lower()


def _proxy(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError("must be an address or a network, like 10.0.0.5 or 10.0.0.0/24") from None
    return text


def _webhook(given: SecretStr) -> SecretStr:
    text = given.get_secret_value()
    if text and re.fullmatch(r"https?://[^\s/@]+(/\S*)?", text) is None:
        raise ValueError("must be an address like https://host/path, without a user before the host")
    return given


def _command(given: SecretStr) -> SecretStr:
    try:
        shlex.split(given.get_secret_value())
    except ValueError as error:
        raise ValueError(f"must be a command as a shell takes it ({error})") from None
    return given


Count = Annotated[int, BeforeValidator(_number), Field(ge=1, le=1_000_000)]
CountOrNone = Annotated[int, BeforeValidator(_number), Field(ge=0, le=1_000_000_000)]
Seconds = Annotated[float, BeforeValidator(_number), Field(gt=0, le=YEAR, allow_inf_nan=False)]
SecondsOrNone = Annotated[float, BeforeValidator(_number), Field(ge=0, le=YEAR, allow_inf_nan=False)]
WholeSeconds = Annotated[int, BeforeValidator(_number), Field(ge=0, le=YEAR)]
Recycle = Annotated[int, BeforeValidator(_number), Field(ge=-1, le=YEAR)]
Days = Annotated[int, BeforeValidator(_number), Field(ge=0, le=36_500)]
Port = Annotated[int, BeforeValidator(_number), Field(ge=0, le=65_535)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Zone = Annotated[str, AfterValidator(_zone)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_level)]
Packages = Annotated[tuple[Annotated[str, AfterValidator(_package)], ...], BeforeValidator(_names)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_names)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], BeforeValidator(_names)]
Proxies = Annotated[tuple[Annotated[str, AfterValidator(_proxy)], ...], BeforeValidator(_names)]
Hours = Annotated[float, BeforeValidator(_number), Field(gt=0, le=24 * 366, allow_inf_nan=False)]
Limits = Annotated[Mapping[Name, Count], BeforeValidator(_limits)]
Webhook = Annotated[SecretStr, AfterValidator(_webhook)]
Command = Annotated[SecretStr, AfterValidator(_command)]
Database = Annotated[SecretStr, AfterValidator(_database)]
MysqlDsn = Annotated[SecretStr, AfterValidator(_mysql), AfterValidator(_database)]
