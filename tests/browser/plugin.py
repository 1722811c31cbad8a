"""A real headless Chromium for tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.databases.plugin import leave_out

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage"]  # tests may run as root, and in a small container


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser while the block is open; leaves the test out, or fails it, where there is none.

    While it is open its library keeps an event loop running in this thread: no other test may run meanwhile.
    """
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        leave_out("Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()
