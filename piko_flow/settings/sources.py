"""Where settings come from, and how a wrong one is told: files, variables and arguments, each with its origin."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from piko_flow.errors import SHOWN, PikoFlowError, shorten
from piko_flow.url_passwords import HIDDEN

PREFIX = "PIKO_"
PATH_VARIABLE = "PIKO_SETTINGS_PATH"
SEARCHED = ("settings.toml", "piko.toml", ".secrets.toml")  # in the working directory; a later one wins
TABLE = "default"

# Variables of the prefix that are no settings: where the file lies, and what the test-suite reads.
NOT_SETTINGS = (PATH_VARIABLE, "PIKO_TEST_")

# As SQLAlchemy reads it: a password may hold anything but "@".
URL = re.compile(
    r"(?P<scheme>[a-z0-9+]+)://(?:(?P<user>[^:/@]*)(?P<password>:[^@]*)?@)?"
    r"(?P<host>\[[^\]/?@]*\]|[^\[\]:/?@]*)(?::(?P<port>\d*))?(?:/(?P<path>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL | re.IGNORECASE,
)
# From the scheme of a URL to its last "@", which errs on the side of showing too little.
INSIDE_TEXT = re.compile(r"(?<=://).*@", re.DOTALL)


class UnknownSetting(UserWarning):
    """A variable or a key of a file that looks like a setting of ours and is none, so nothing reads it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: `where` is the file or the variable as a person would look for it.

    `beneath` is where another one comes from that holds without this one; empty for the default.
    """

    kind: Literal["default", "file", "variable", "argument"]
    where: str
    beneath: str = ""

    def __str__(self) -> str:
        return self.where

    def advice(self, name: str, default: str) -> str:
        """What to do about a wrong value of the setting `name`."""
        holds = f"that of {self.beneath}" if self.beneath else f"the default, {default}"
        match self.kind:
            case "file":
                return f"Change it in {self.where} under [{TABLE}], or remove it for {holds}"
            case "variable":
                return f"Change {self.where}, or unset it for {holds}"
            case _:
                return f"Give {name} another value, or leave it out for {holds}"


DEFAULT = Origin("default", "default")
ARGUMENT = Origin("argument", "argument")


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One setting that was refused: its name, where it came from, the rule, what came, what to do."""

    name: str
    origin: str
    rule: str
    got: str
    advice: str

    def __str__(self) -> str:
        return f"{self.name} (from {self.origin}): {self.rule}; got {self.got}. {self.advice}"


class SettingsRefused(PikoFlowError, ValueError):
    """Settings that cannot be used; `problems` has one entry for each, and none shows a password."""

    def __init__(self, problems: Iterable[SettingProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"a setting was refused: {self.problems[0]}"
        return f"{len(self.problems)} settings were refused:" + "".join(f"\n  {one}" for one in self.problems)


@dataclass(slots=True)
class Given:
    """What was given, the later layer winning, with the origin of each value and what nobody will read."""

    names: tuple[str, ...]
    values: dict[str, object] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def take(self, name: str, value: object, origin: Origin) -> None:
        """Put a value over what an earlier layer said."""
        beneath = self.origins.get(name, DEFAULT)
        if beneath.kind != "default":
            origin = replace(origin, beneath=beneath.where)
        self.values[name], self.origins[name] = value, origin

    def read_files(self) -> None:
        """Take the [default] tables of the files; raises SettingsRefused for a file that cannot be read."""
        for path in _files():
            document = _toml(path)
            self._note_misplaced(path, document)
            for table in (content for key, content in document.items() if key.lower() == TABLE):
                for key, value in table.items() if isinstance(table, dict) else ():
                    if (name := key.lower()) in self.names:
                        self.take(name, value, Origin("file", str(path)))
                    else:
                        hint = nearest(name, self.names)
                        self.unread.append(f"{path}: no setting is named {key!r}, nothing reads it{hint}")

    def read_variables(self, found: Mapping[str, object]) -> None:
        """Take what variables gave by name, and note every other variable of the prefix."""
        variables = {key.lower(): key for key in os.environ if key.upper().startswith(PREFIX)}
        for name, value in found.items():
            self.take(name, value, Origin("variable", variables[f"{PREFIX}{name}".lower()]))
        known = [f"{PREFIX}{name}".upper() for name in self.names]
        for variable in sorted(variables.values()):
            if variable.upper() not in known and not variable.upper().startswith(NOT_SETTINGS):
                hint = nearest(variable.upper(), known)
                self.unread.append(f"no setting is named {variable}, nothing reads the variable{hint}")

    def _note_misplaced(self, path: Path, document: Mapping[str, object]) -> None:
        """A setting above every table is what somebody meant for [default]; other tables are none of ours."""
        for key, value in document.items():
            if key.lower() in self.names and not isinstance(value, dict):
                self.unread.append(f"{path}: {key!r} stands outside [{TABLE}] and is not read; move it there")
            elif key.lower() == TABLE and not isinstance(value, dict):
                self.unread.append(f"{path}: {key!r} is not a table, nothing reads it; write [{TABLE}]")


def nearest(name: str, names: Iterable[str]) -> str:
    """A question with the name that was probably meant; empty when none is near."""
    found = get_close_matches(name, list(names), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def mask(url: str) -> str:
    """The URL as a person may see it: no password and no query, and nothing but the scheme of what is no URL."""
    found = URL.fullmatch(url)
    if found is None:
        scheme, separator, _ = url.partition("://")
        return f"{scheme}://{HIDDEN}" if separator and scheme.replace("+", "").isalnum() else HIDDEN
    user, secret, query = found["user"], found["password"], found["query"]
    who = "" if user is None else f"{user}:{HIDDEN}@" if secret is not None else f"{user}@"
    port = "" if found["port"] is None else f":{found['port']}"
    path = "" if found["path"] is None else f"/{found['path']}"
    return f"{found['scheme']}://{who}{found['host']}{port}{path}{'' if query is None else '?' + HIDDEN}"


def masked(value: object) -> str:
    """The value's repr, shortened, without what a URL inside it says of a user and a password."""
    text = INSIDE_TEXT.sub(f"{HIDDEN}@", shorten(value, limit=10 * SHOWN))
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _files() -> Iterator[Path]:
    """The files to read, in order; the one that the variable names replaces the search."""
    named = os.environ.get(PATH_VARIABLE, "")
    if not named:
        yield from (Path(name) for name in SEARCHED if Path(name).is_file())
    elif Path(named).expanduser().is_file():
        yield Path(named).expanduser()
    else:
        advice = (
            f"Correct {PATH_VARIABLE}, or unset it to read {', '.join(SEARCHED)} of the working directory"
        )
        rule, got = "must name a TOML file that exists", repr(named)
        raise SettingsRefused([SettingProblem(PATH_VARIABLE, "the environment", rule, got, advice)])


def _toml(path: Path) -> dict[str, object]:
    """The file's content; a file that is no TOML is told by its line, never by what stands there."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        got, advice = str(error), "Mend that line; texts need quotes"
    except UnicodeDecodeError as error:
        got, advice = f"a byte that is not UTF-8 at offset {error.start}", "Save the file as UTF-8"
    except OSError as error:
        got, advice = str(error.strerror), "Make the file readable for the user that runs this"
    raise SettingsRefused([SettingProblem(path.name, str(path), "must be a readable TOML file", got, advice)])
