"""A page in the browser that is watched: whatever it complains of, or asks elsewhere, fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

SCREENSHOTS = Path(__file__).parent.parent.parent / ".screenshots"
"""Where a person finds how the pages look; git ignores it."""
THEMES: dict[Literal["light", "dark"], tuple[str, ...]] = {
    "light": (),
    "dark": ("color-contrast", "link-in-text-block"),
}
"""How a page looks, and which rules are asked then: a theme changes colours alone."""
PATIENCE = 30_000  # milliseconds that anything on a page may take


@dataclass
class WatchedPage:
    """A page, and what went wrong in it.

    `expected` are statuses of answers that the test asks for, `forgiven` what the page may say in its console.
    `questions` are what it has asked before a change, which is answered with yes, or no where not `agrees`.
    """

    page: Page
    address: str
    wrong: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)
    forgiven: set[str] = field(default_factory=set)
    questions: list[str] = field(default_factory=list)
    agrees: bool = True

    def go(self, path: str) -> None:
        """Open a page of the application."""
        self.page.goto(self.address + path)

    def press(self, name: str) -> None:
        """Press the button of this name, and answer what is asked then; the page that it leads to is whole then."""
        self.follow(self.page.get_by_role("button", name=name, exact=True))

    def follow(self, link: Locator) -> None:
        """Click, and wait until the page that it leads to is whole, where it leads to one."""
        link.click()
        self.page.wait_for_load_state()

    def told(self) -> str:
        """The message that the last change left."""
        return self.page.locator(".flash > span").inner_text()

    def text(self) -> str:
        """What the page says."""
        return self.page.locator("main").inner_text()

    def until(self, expression: str) -> None:
        """Wait until an expression of JavaScript is true.

        The driver's own wait evaluates texts from inside the page after a while, which our policy forbids.
        """
        last = monotonic() + PATIENCE / 1000
        while not self.page.evaluate(expression):
            assert monotonic() < last, f"never true: {expression}"
            self.page.wait_for_timeout(20)

    def find(self, selector: str) -> Locator:
        """Elements of the page."""
        return self.page.locator(selector)

    def picture(self, name: str) -> None:
        """Keep how the page looks for people."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def shown(self, name: str) -> None:
        """Keep how it looks in both themes. Raises AssertionError where it bars somebody."""
        for theme, rules in THEMES.items():
            self.page.emulate_media(color_scheme=theme)
            self.picture(f"{name}-{theme}")
            found = self.barriers(*rules)
            assert found == [], "; ".join(found)

    def barriers(self, *rules: str) -> list[str]:
        """What keeps people from using the page, as axe-core finds it; with `rules`, by those alone."""
        options: dict[str, Any] = {"resultTypes": ["violations"]}
        if rules:
            options["runOnly"] = list(rules)
        found = Axe().run(self.page, options=options).response["violations"]
        return [
            f"{one['id']}: {place['html'][:200]} ({place.get('failureSummary', '')[:300]})"
            for one in found
            for place in one["nodes"]
        ]


@contextmanager
def watched(browser: Browser, address: str, link: str = "", **options: Any) -> Iterator[WatchedPage]:
    """A page in a window of its own, which opens the link if one is given, as that of somebody who logs in.

    Raises AssertionError at the end for whatever went wrong in it.
    """
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(PATIENCE)
    page = WatchedPage(context.new_page(), address)
    _watch(page)
    try:
        if link:
            page.page.goto(link)
        yield page
    finally:
        context.close()
    assert page.wrong == [], "; ".join(page.wrong)


def _watch(watched: WatchedPage) -> None:
    page, wrong = watched.page, watched.wrong

    def said(message: Any) -> None:
        told = any(f"status of {status}" in message.text for status in watched.expected)
        told = told or any(text in message.text for text in watched.forgiven)
        if message.type in ("error", "warning") and not told:
            wrong.append(f"{message.type}: {message.text}")

    def answered(response: Any) -> None:
        if response.status >= 400 and response.status not in watched.expected:
            wrong.append(f"{response.status} for {response.request.method} {response.url}")

    def asked(request: Any) -> None:
        if not request.url.startswith((watched.address, "data:", "blob:")):
            wrong.append(f"asked elsewhere: {request.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("response", answered)
    page.on("request", asked)
    page.on("dialog", lambda dialog: _answer(watched, dialog))


def _answer(page: WatchedPage, dialog: Any) -> None:
    if dialog.type != "confirm":
        page.wrong.append(f"a dialog: {dialog.message}")
        dialog.dismiss()
        return
    page.questions.append(dialog.message)
    if page.agrees:
        dialog.accept()
    else:
        dialog.dismiss()
