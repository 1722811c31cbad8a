"""Log lines for applications: text for people, or one JSON object a line."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from piko_flow.telemetry.json_line import json_line
from piko_flow.telemetry.logged_run import current_stage, logged_run
from piko_flow.url_passwords import without_url_passwords

FIELDS = ("run", "flow", "attempt", "stage", "trace")
QUIET = (
    "aiosqlite",
    "alembic",
    "sqlalchemy",
    "uvicorn",
)  # of them only warnings: the rest is no news of flows


class RunFields(logging.Filter):
    """Lets every record pass, and gives it the fields of the run in whose name it was made: run, flow, attempt, stage,
    trace. For handlers of a program's own. A field that a record brings along is left as it is.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
        for name, value in fields_of(record).items():
            setattr(record, name, value)
        return True


class TextLines(logging.Formatter):
    """A record for people: time (UTC), level, logger, message, the run it belongs to, the traceback; see `without_secrets`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The record's time in UTC, to the millisecond."""
        return time_of(record)

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, without what is secret."""
        return without_secrets(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line, with the run that it belongs to where it does."""
        fields = fields_of(record)
        line = super().formatMessage(record)
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        return f"{line} [{told}]" if told else line


class JsonLines(logging.Formatter):
    """A record as one JSON object: time (UTC), level, logger, message, the fields of the run, the traceback; see
    `without_secrets`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line; a value that is not JSON is shown as text."""
        line: dict[str, object] = {
            "time": time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        line |= fields_of(record)
        if record.exc_info:
            line["traceback"] = without_secrets(self.formatException(record.exc_info))
        return json_line(line)


def without_secrets(text: str) -> str:
    """What is logged without passwords in URLs, and in the name of a run without that run's secrets."""
    logged = logged_run.get()
    return without_url_passwords(text) if logged is None else logged.hide(text)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """The fields of the run in whose name a record is made; what the record brings along wins."""
    logged = logged_run.get()
    fields: dict[str, object] = {}
    if logged is not None:
        fields = {"run": logged.run, "flow": logged.flow, "attempt": logged.attempt}
        fields |= {"stage": current_stage(), "trace": logged.trace}
    fields |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
    return {name: value for name, value in fields.items() if value not in ("", None)}


def time_of(record: logging.LogRecord) -> str:
    """When the record was made: UTC, to the millisecond."""
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def configure_logging(level: str, *, as_json: bool) -> None:
    """Send the application's log lines to standard error. For applications: a library does not call it.

    A root logger that has handlers already is left as it is, except for the level of this package.
    """
    logging.getLogger("piko_flow").setLevel(level)
    root = logging.getLogger()
    if root.handlers:
        return
    lines = logging.StreamHandler()
    lines.setFormatter(JsonLines() if as_json else TextLines())
    root.addHandler(lines)
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
