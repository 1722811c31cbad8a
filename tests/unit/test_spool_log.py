"""What the log says of a sink behind a spool: when it begins to fail, while it does, and when that is over."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Retry
from piko_flow.connectors.spool_telling import Telling, shown_error
from piko_flow.testing import ManualClock
from tests.unit.spooling import Place, passing, spool, told

FAILS = "the sink of the spool orders fails: OSError: it is down; 2 items wait"


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(one.levelname, one.getMessage()) for one in caplog.records if one.name == "piko_flow.spool"]


@pytest.fixture(autouse=True)
def informed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "piko_flow.spool")


async def test_a_sink_that_fails_is_told_at_once_again_after_five_minutes_and_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, broken = ManualClock(), True

    def mood(items: list[Any]) -> None:
        if broken:
            raise OSError("it is down")

    place, retry = Place(mood), Retry(first=1, limit=20)
    async with spool(place, tmp_path, retry=retry).opened(clock=clock) as live:
        await live.accept([1, 2])
        await place.tried(1)
        await told(live, lambda state: state.failing != "")
        assert lines(caplog) == [("WARNING", FAILS)]
        began, tries = clock.monotonic(), len(place.attempts)
        await passing(clock, live, lambda: len(lines(caplog)) > 1)
        assert clock.monotonic() - began >= 300
        assert len(place.attempts) > tries + 5
        assert lines(caplog) == [("WARNING", FAILS)] * 2
        broken = False
        await passing(clock, live, lambda: live.waiting == 0)
    assert lines(caplog)[2][0] == "INFO"
    assert lines(caplog)[2][1].startswith("the sink of the spool orders takes items again; ")
    assert len(lines(caplog)) == 3


async def test_a_sink_that_fails_now_and_then_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    telling = Telling("orders", waiting=lambda: 7, clock=clock)
    for _ in range(120):
        telling.failed("OSError: busy")
        telling.took()
        await clock.advance(1)
    warning = ("WARNING", "the sink of the spool orders fails: OSError: busy; 7 items wait")
    over = ("INFO", "the sink of the spool orders takes items again; 7 wait")
    assert lines(caplog) == [warning, over, warning, over]


async def test_a_sink_that_fails_again_is_told_though_five_minutes_have_not_passed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    telling = Telling("orders", waiting=lambda: 1, clock=clock)
    telling.failed("first")
    telling.took()
    telling.failed("second")  # too soon after the first, unless it lasts
    await clock.advance(60)
    telling.failed("second")
    assert [message.split("; ")[0] for level, message in lines(caplog) if level == "WARNING"] == [
        "the sink of the spool orders fails: first",
        "the sink of the spool orders fails: second",
    ]


async def test_no_line_and_no_state_tells_a_secret_of_the_sink(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def mood(items: list[Any]) -> None:
        raise OSError("mysql://app:geh@eim@db:3306/orders?ssl=1 refuses password='top geheim', token: geheim")

    clock = ManualClock()
    async with spool(Place(mood), tmp_path).opened(clock=clock, flush=0) as live:
        await live.accept([1])
        state = await told(live, lambda state: state.failing != "")
    assert state.failing == "OSError: mysql://db:3306/orders?ssl=1 refuses password=******, token: ******"
    kept = [message for _, message in lines(caplog) if "keeps 1 items" in message]
    assert len(kept) == 1
    assert "geh" not in caplog.text
    assert "eim" not in caplog.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://api.test/v1?token=abc&page=2 gave 500", "https://api.test/v1?token=******&page=2 gave 500"),
        ("Authorization: Bearer abc", "Authorization: Bearer ******"),
        ('{"client_secret": "abc", "page": 2}', '{"client_secret": ******, "page": 2}'),
        ("the password is wrong", "the password is wrong"),
        ("postgresql://u:a/b#c?d@db/x is away", "postgresql://db/x is away"),
        ("x" * 480 + " https://u:abc@db/", "x" * 480 + " https:/…"),
    ],
)
def test_an_error_is_shown_without_what_looks_like_a_secret(text: str, shown: str) -> None:
    assert shown_error(Exception(text)) == f"Exception: {shown}"
