"""Lines of an attempt are bounded: the first and the last are kept, and what is secret is not."""

from __future__ import annotations

import logging

import pytest
from pydantic import BaseModel, SecretStr

from piko_flow.control.params.redaction import LineRedaction, Redaction, secrets_in
from piko_flow.telemetry.line_capture import LineCapture
from piko_flow.telemetry.logged_run import LoggedRun, line_of, logged_run
from piko_flow.telemetry.run_lines import FIRST, FIRST_TEXT, LAST, LAST_TEXT, LONGEST, Line, RunLines
from piko_flow.url_passwords import HIDDEN


def line(text: str) -> Line:
    return Line(0.0, "INFO", "test", text)


def texts(lines: list[Line]) -> list[str]:
    return [one.message for one in lines]


def test_few_lines_are_all_kept_in_their_order() -> None:
    lines = RunLines()
    for number in range(5):
        lines.add(line(str(number)))
    assert texts(lines.take_first()) == ["0", "1", "2", "3", "4"]
    lines.add(line("5"))
    assert texts(lines.take_rest()) == ["5"]
    assert lines.take_rest() == []


def test_of_many_lines_the_first_and_the_last_are_kept_and_the_others_are_told() -> None:
    lines = RunLines()
    for number in range(5000):
        lines.add(line(str(number)))
    first = lines.take_first()
    rest = lines.take_rest()
    assert texts(first) == [str(number) for number in range(FIRST)]
    assert rest[0].message.startswith(f"{5000 - FIRST - LAST:,} lines were left out")
    assert texts(rest[1:]) == [str(number) for number in range(5000 - LAST, 5000)]


def test_long_lines_are_bounded_by_their_text() -> None:
    lines = RunLines()
    for _ in range(100):
        lines.add(line("x" * LONGEST))
    kept = sum(len(text) for text in texts(lines.take_rest()))
    assert LAST_TEXT < kept <= FIRST_TEXT + LAST_TEXT + 100


def test_a_very_long_line_is_cut_and_says_how_long_it_was() -> None:
    record = logging.LogRecord("a", logging.INFO, "a.py", 1, "y" * 10_000, (), None)
    message = line_of(record).message
    assert len(message) <= LONGEST
    assert message.endswith("(10,000 characters)")


def test_a_line_that_cannot_be_formatted_is_kept_as_it_was_meant() -> None:
    record = logging.LogRecord("a", logging.INFO, "a.py", 1, "%d items", ("three",), None)
    assert line_of(record).message == "%d items"


@pytest.mark.parametrize(
    "text",
    [
        "token=s3cr3t and more",
        "Token: s3cr3t",
        "{'token': 's3cr3t', 'id': 1}",
        '{"token": "s3cr3t"}',
        "connect to postgresql://me:s3cr3t@host/db",
        "the key is s3cr3t.",
    ],
)
def test_secrets_are_hidden(text: str) -> None:
    hide = LineRedaction(Redaction.of(("token",)), ["s3cr3t"] if "key" in text else ())
    assert "s3cr3t" not in hide(text)
    assert HIDDEN in hide(text)


def test_a_line_without_secrets_stays_as_it_is() -> None:
    hide = LineRedaction(Redaction.of(("token",)))
    assert hide("tokens read: 5 of http://host/a:b@c?x=1") == "tokens read: 5 of http://host/a:b@c?x=1"


def test_secret_params_are_found_however_deep_they_lie() -> None:
    class Login(BaseModel):
        user: str = "me"
        password: SecretStr = SecretStr("hunter2")

    class Params(BaseModel):
        logins: list[Login] = [Login()]
        keys: dict[str, SecretStr] = {"a": SecretStr("key-a")}

    assert sorted(secrets_in(Params())) == ["hunter2", "key-a"]


def test_capturing_leaves_logging_as_it_was() -> None:
    before, root = logging.getLogRecordFactory(), list(logging.getLogger().handlers)
    capture = LineCapture()
    logged = LoggedRun(1, "orders", 1)
    with capture.at_work("INFO"), capture.at_work("INFO"):
        token = logged_run.set(logged)
        logging.getLogger("somewhere").warning("kept")
        logged_run.reset(token)
        logging.getLogger("somewhere").warning("not of the run")
    assert logging.getLogRecordFactory() is before
    assert logging.getLogger().handlers == root
    assert logged.lines is not None
    assert texts(logged.lines.take_rest()) == ["kept"]


def test_a_factory_that_was_put_around_ours_goes_on_working() -> None:
    capture, before = LineCapture(), logging.getLogRecordFactory()
    logged = LoggedRun(1, "orders", 1)
    try:
        with capture.at_work("INFO"):
            inner = logging.getLogRecordFactory()
            logging.setLogRecordFactory(lambda *given, **named: inner(*given, **named))
        with capture.at_work("INFO"):
            token = logged_run.set(logged)
            logging.getLogger("somewhere").warning("once")
            logged_run.reset(token)
    finally:
        logging.setLogRecordFactory(before)
    assert logged.lines is not None
    assert texts(logged.lines.take_rest()) == ["once"]
