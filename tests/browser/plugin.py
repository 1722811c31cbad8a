"""A real headless Chromium for tests, and what is said of the tests that were left out for want of one.

With `CI=true` or `PIKO_TEST_REQUIRE_BROWSER=1` they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LEFT_OUT = "left out for want of Chromium"
HOW_TO_GET = "apt-get install chromium"
OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage"]  # tests may run as root, and in a small container


def required() -> bool:
    """Whether a test may not be left out."""
    asked = os.environ.get("PIKO_TEST_REQUIRE_BROWSER", "0") not in ("", "0")
    return asked or os.environ.get("CI", "").lower() in ("true", "1")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser while the block is open; leaves the test out, or fails it, where there is none.

    While it is open its library keeps an event loop running in this thread: no other test may run meanwhile.
    """
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        if required():
            pytest.fail(f"Chromium is required here and not installed: {HOW_TO_GET}", pytrace=False)
        pytest.skip(LEFT_OUT)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly that nothing was tried in a browser."""
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(LEFT_OUT in str(getattr(report, "longrepr", "")) for report in skipped)
    if count:
        terminalreporter.write_sep("!", "NOTHING WAS TRIED IN A BROWSER", red=True, bold=True)
        terminalreporter.write_line(f"tests left out: {count}. To run them: {HOW_TO_GET}", red=True)
