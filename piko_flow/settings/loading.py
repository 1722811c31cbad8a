"""Loads settings from files, variables and arguments, and says of each wrong one where it came from."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from pydantic import SecretStr, ValidationError
from pydantic_settings import EnvSettingsSource

from piko_flow.settings.model import EMBEDDED, Contradiction, Settings, shown
from piko_flow.settings.sources import (
    ARGUMENT,
    DEFAULT,
    Given,
    SettingProblem,
    SettingsRefused,
    UnknownSetting,
    mask,
    masked,
    nearest,
)
from piko_flow.url_passwords import HIDDEN

NAMES = tuple(Settings.model_fields)
DEFAULTS = Settings()
SECRET = ("database", "mysql_dsn")
UNSEEN = ("notice_webhook", "notice_command")  # of them no part is known to be no secret


def load_settings(**overrides: object) -> Settings:
    """The settings in force: defaults, then files, then `PIKO_` variables, then `overrides`; the later wins.

    Files are `settings.toml`, `piko.toml` and `.secrets.toml` of the working directory, in this order, or the one
    that `PIKO_SETTINGS_PATH` names instead. Of a file the table [default] is read and no other. Letters of names
    may be of either case. An empty variable counts as not set, and an override of None as not given.

    Raises SettingsRefused with every wrong setting, or for a file that cannot be read. Warns with UnknownSetting of
    variables and keys that nothing reads. Neither ever shows a password.
    """
    given = Given(NAMES)
    given.read_files()
    given.read_variables(EnvSettingsSource(Settings)())
    for name, value in overrides.items():
        if value is not None:
            given.take(name, value, ARGUMENT)
    for line in given.unread:
        warnings.warn(line, UnknownSetting, stacklevel=2)
    problems: list[SettingProblem] = []
    try:
        settings = Settings.model_validate(given.values)
    except ValidationError as error:
        problems += _problems(error, given)
    else:
        settings._origins.update(given.origins)
        return settings
    raise SettingsRefused(problems)  # outside the handler: the error there holds passwords


def _problems(error: ValidationError, given: Given) -> Iterator[SettingProblem]:
    """One message for each setting that the validation refused."""
    for details in error.errors():
        cause = details.get("ctx", {}).get("error")
        if isinstance(cause, Contradiction):
            yield from (_contradiction(less, more, given) for less, more in cause.pairs)
            continue
        name, where = str(details["loc"][0]), ".".join(map(str, details["loc"]))
        rule, got, origin = details["msg"], _came(name, details["input"]), given.origins.get(name, DEFAULT)
        advice = origin.advice(name, _default(name))
        if name not in NAMES:
            rule, advice = f"must be the name of a setting{nearest(name, NAMES)}", "Correct the name"
        for theirs, ours in (
            ("Value error, ", ""),
            ("Input should be", "must be"),
            ("String should", "must"),
        ):
            rule = rule.replace(theirs, ours)
        yield SettingProblem(where, str(origin), rule, got, advice)


def _contradiction(less: str, more: str, given: Given) -> SettingProblem:
    """Two settings that do not fit; told of the one that was given, with the other's value and origin."""
    name, other = (less, more) if less in given.origins else (more, less)
    origin, other_origin = (given.origins.get(one, DEFAULT) for one in (name, other))
    value = shown(given.values.get(other, getattr(DEFAULTS, other)))
    rule = (
        f"must be {'less' if name == less else 'more'} than {other}, which is {value} (from {other_origin})"
    )
    return SettingProblem(
        name, str(origin), rule, masked(given.values[name]), origin.advice(name, _default(name))
    )


def _came(name: str, value: object) -> str:
    """What was given, as a message may show it."""
    if name in UNSEEN:
        return repr(HIDDEN)
    if name not in SECRET:
        return masked(value)
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return repr(mask(text)) if isinstance(text, str) else f"a value of type {type(text).__name__}"


def _default(name: str) -> str:
    return EMBEDDED if name == "database" else shown(getattr(DEFAULTS, name, "")) or "empty"
