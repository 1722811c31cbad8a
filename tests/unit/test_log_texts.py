"""What log lines hide, and that no line is lost or ends a run because of what is in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from piko_flow.control.runs.failure_record import ToldAttempt
from piko_flow.telemetry.json_line import json_line
from piko_flow.telemetry.line_capture import LineCapture
from piko_flow.telemetry.logged_run import LoggedRun, line_of, logged_run
from piko_flow.telemetry.logs import JsonLines, TextLines, configure_logging
from piko_flow.telemetry.run_lines import LONGEST
from piko_flow.url_passwords import HIDDEN

SECRET = 'line "one"\nlïne two'


class Params(BaseModel):
    key: SecretStr = SecretStr(SECRET)


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def record(message: object, *given: Any, error: BaseException | None = None) -> logging.LogRecord:
    found = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("some.library", logging.INFO, "a.py", 1, message, given, found)


@pytest.fixture
def logged() -> Iterator[LoggedRun]:
    """Inside the test the lines of an attempt whose params are known are logged."""
    told = ToldAttempt()
    assert told.hide("ready") == "ready"  # a line before the params are known
    told.params = Params()
    made = LoggedRun(1, "orders", 1, hide=told.hide)
    token = logged_run.set(made)
    yield made
    logged_run.reset(token)


@pytest.mark.parametrize("text", [SECRET, json.dumps({"k": SECRET}), repr(SECRET), f"a://u:{SECRET[:4]}@h"])
def test_a_line_of_a_run_is_kept_without_its_secrets_in_any_form(logged: LoggedRun, text: str) -> None:
    logged.add(record("the key %s", text))
    assert logged.lines is not None
    [line] = logged.lines.take_rest()
    assert "line" not in line.message
    assert HIDDEN in line.message


@pytest.mark.parametrize("formatter", [TextLines(), JsonLines()], ids=["text", "json"])
def test_the_log_of_the_process_tells_no_secret_of_a_run_and_no_password(
    logged: LoggedRun, formatter: logging.Formatter
) -> None:
    told = formatter.format(record("the key %s", SECRET, error=ValueError("at a://u:pw1@h with " + SECRET)))
    assert "ne two" not in told
    assert "pw1" not in told
    assert told.count(HIDDEN) == 3


def test_configured_logging_hides_passwords_of_urls_outside_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = logging.getLogger(), io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    monkeypatch.setattr(root, "handlers", [])
    levels = {name: logging.getLogger(name).level for name in ("", "piko_flow", "alembic", "uvicorn")}
    configure_logging("INFO", as_json=False)
    root.warning("cannot reach %s", "mysql://u:pw1@h/d")
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    assert f"cannot reach mysql://u:{HIDDEN}@h/d" in out.getvalue()


def test_a_secret_that_the_cut_goes_through_is_hidden(logged: LoggedRun) -> None:
    for before in range(LONGEST - 60, LONGEST):
        line = line_of(record("x" * before + SECRET + "y" * 100), logged.hide)
        assert "line" not in line.message
        assert len(line.message) <= LONGEST


def test_halves_of_characters_and_large_numbers_are_shown() -> None:
    name = "a\udc80.csv"
    told = json.loads(JsonLines().format(record("read %s", name)))
    assert told["message"] == "read a\\udc80.csv"
    values = {name: [(name, 2**70, True, None, 1.5)], "other": Unprintable()}
    told = json.loads(json_line(values))
    assert told["a\\udc80.csv"] == [["a\\udc80.csv", str(2**70), True, None, 1.5]]
    assert "Unprintable object" in told["other"]


async def test_a_run_whose_report_has_half_a_character_keeps_it() -> None:
    told = ToldAttempt()
    told.account = {"written": ["a\udc80.csv"]}
    assert json.loads(told.report() or "") == {"written": ["a\\udc80.csv"]}


def test_a_line_whose_message_cannot_be_shown_is_kept_and_raises_nothing(logged: LoggedRun) -> None:
    with LineCapture().at_work("INFO"):
        made = logging.getLogRecordFactory()("a", logging.INFO, "a.py", 1, Unprintable(), (), None)
    assert made.levelname == "INFO"
    assert logged.lines is not None
    assert "Unprintable object" in logged.lines.take_rest()[0].message


def test_a_record_that_is_made_while_capturing_ends_is_made() -> None:
    with LineCapture().at_work("INFO"):
        make = logging.getLogRecordFactory()
    assert make("a", logging.INFO, "a.py", 1, "late", (), None).getMessage() == "late"
