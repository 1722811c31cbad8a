"""What somebody sees who has just started: empty pages that tell what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from piko_flow import Flow, Registry, RunContext
from piko_flow.store.ops_records import Role
from tests.browser.console_scene import Scene, console_scene
from tests.browser.watched_page import watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EMPTY = {  # the path, what it says, and the way on: a link's address, or a command
    "overview": ("/", "No flow is registered yet", "piko-flow serve"),
    "runs": ("/runs", "No run yet", "/"),
    "backfills": ("/backfills", "No backfill yet", "/"),
    "letters": ("/dead-letters", "No open dead letters", 'on_error="dead_letter"'),
}
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def fresh(nothing_left_of_the_module: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """An application without any flow, on a store that nobody has used."""
    with console_scene(tmp_path_factory.mktemp("fresh"), Registry()) as found:
        yield found


@pytest.fixture(scope="module")
def idle(nothing_left_of_the_module: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """An application with one flow, which has neither run nor a schedule."""
    flows: Registry[Flow] = Registry()

    @Flow.register("idle", registry=flows)
    async def idle(run: RunContext) -> None:
        """Wait for somebody."""

    with console_scene(tmp_path_factory.mktemp("idle"), flows) as found:
        yield found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_page_tells_what_to_do_next(fresh: Scene, browser: Browser, name: str, size: str) -> None:
    path, says, way = EMPTY[name]
    with watched(browser, fresh.address, fresh.link(Role.ADMIN), viewport=SIZES[size]) as page:
        page.go(path)
        empty = page.find("main .empty")
        empty.get_by_role("heading", name=says).wait_for()
        if way.startswith("/"):
            assert empty.locator(f"a[href='{way}']").is_visible()
        else:
            assert way in empty.inner_text()
        page.shown(f"fresh-{name}-{size}")
        assert page.page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]


@pytest.mark.parametrize("size", SIZES)
def test_a_flow_that_never_ran_tells_what_to_do_next(idle: Scene, browser: Browser, size: str) -> None:
    with watched(browser, idle.address, idle.link(Role.ADMIN), viewport=SIZES[size]) as page:
        page.go("/flows/idle")
        empty = page.find("#flow .empty").filter(has_text="It has not run yet")
        assert "none yet" in page.find("#flow .stats").inner_text()
        assert "Give it a schedule below, or run it now" in empty.inner_text()
        why = page.find("li").filter(has_text="it has no schedule: it runs when somebody asks")
        why.wait_for()
        assert why.locator(".badge.none").inner_text() == "no schedule"  # which is no fault
        command = why.locator(".under").inner_text()
        assert command.startswith("On the command line: ")
        assert "piko-flow schedule set" in command
        page.shown(f"fresh-flow-{size}")
        assert page.page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
