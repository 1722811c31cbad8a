"""Commands of the control half in this process, on a SQLite file in a folder of the test's own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner

from piko_flow.cli.main import app

PACKAGE = "tests.system.control_flows"
WITHOUT_FLOWS = ("leader", "db", "check", "audit")


class Done(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it wrote to standard output, without spaces that only align."""
        return [" ".join(line.split()) for line in self.out.splitlines()]


class Desk:
    """Somebody at a terminal, whose computer is in the zone of `sync_orders`."""

    def __init__(self, folder: Path) -> None:
        self.zone = "Europe/Berlin"
        self.database = f"sqlite:///{folder / 'flows.db'}"

    def run(self, *words: str, package: str | None = PACKAGE) -> Done:
        """What a command does, whatever that is."""
        given: Sequence[str] = ("--database", self.database)
        if package is not None and words[0] not in WITHOUT_FLOWS and not _is_about_one(words):
            given = (*given, "--package", package)
        around = {"COLUMNS": "200", "TZ": self.zone}
        result = CliRunner().invoke(app, [*words, *given], prog_name="piko-flow", env=around)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    def does(self, *words: str) -> Done:
        """A command that has to end well."""
        done = self.run(*words)
        assert done.code == 0, done.err
        return done

    def json(self, *words: str) -> Any:
        """The document of a command that has to end well."""
        return json.loads(self.does(*words, "--json").out)

    def refused(self, *words: str) -> str:
        """The one message of a command that is refused."""
        done = self.run(*words)
        assert (done.code, done.out) == (1, ""), done
        assert done.err.startswith("error: ")
        assert done.err.count("error: ") == 1
        return done.err


def _is_about_one(words: Sequence[str]) -> bool:
    return words[0] == "backfill" and words[1] in ("pause", "resume", "cancel")
