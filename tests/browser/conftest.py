"""An application, a browser, and a page of it that somebody has logged in to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from piko_flow.store.ops_records import Role
from piko_flow.testing.leaks import no_leaks
from tests.browser.console_scene import Scene, bring_into_all_states, console_scene
from tests.browser.plugin import chromium
from tests.browser.watched_page import WatchedPage, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Opens = Callable[..., WatchedPage]


@pytest.fixture
def nothing_left() -> None:
    """Application and browser serve a module's tests; what these leave behind is asked when both have ended."""


@pytest.fixture(scope="module")
def nothing_left_of_the_module() -> Iterator[None]:
    """No thread, process or descriptor outlives the application and the browser."""
    with no_leaks(grace=10):
        yield


@pytest.fixture(scope="module")
def scene(nothing_left_of_the_module: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """An application whose flows are in every state."""
    with console_scene(tmp_path_factory.mktemp("console")) as found:
        bring_into_all_states(found)
        yield found


@pytest.fixture(scope="module")
def browser(nothing_left_of_the_module: None) -> Iterator[Browser]:
    """A headless Chromium."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def logged_in(scene: Scene, browser: Browser) -> Callable[[Role], Any]:
    """What a browser keeps of a login as somebody with a role; each role logs in once."""

    @cache
    def login(role: Role) -> Any:
        with watched(browser, scene.address, scene.link(role)) as page:
            return page.page.context.storage_state()

    return login


@pytest.fixture
def opens(scene: Scene, browser: Browser, logged_in: Callable[[Role], Any]) -> Iterator[Opens]:
    """Opens a page of the application as somebody with a role; at the end nothing may have gone wrong in any.

    With `own` the login is the page's own, which logging out ends.
    """
    with ExitStack() as pages:

        def open_page(
            path: str = "/", *, role: Role = Role.OPERATOR, own: bool = False, **options: Any
        ) -> WatchedPage:
            login = {"link": scene.link(role)} if own else {"storage_state": logged_in(role)}
            page = pages.enter_context(watched(browser, scene.address, **login, **options))
            page.go(path)
            return page

        yield open_page
