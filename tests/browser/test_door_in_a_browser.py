"""The door in a real browser: logging in, links on other sites, and what other sites try."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from piko_flow.ops.door.token_secrets import new_secret
from piko_flow.store.ops_records import Role
from tests.browser.console_scene import Scene
from tests.browser.watched_page import PATIENCE, WatchedPage, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ELSEWHERE = "http://elsewhere.example/"
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@contextmanager
def at_the_login(browser: Browser, scene: Scene, **options: object) -> Iterator[WatchedPage]:
    """The page to log in at, in a browser that nobody knows."""
    with watched(browser, scene.address, f"{scene.address}/login", **options) as page:
        yield page


@contextmanager
def other_site(browser: Browser, html: str, *, link: str = "") -> Iterator[Page]:
    """A page of another site, in a browser that has followed the link before, if there is one."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    try:
        page = context.new_page()
        if link:
            page.goto(link)
        page.route(f"{ELSEWHERE}**", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto(ELSEWHERE)
        yield page
    finally:
        context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_to_log_in_at_bars_nobody(browser: Browser, scene: Scene, size: str, theme: str) -> None:
    with at_the_login(browser, scene, color_scheme=theme, viewport=SIZES[size]) as page:
        page.picture(f"login-{size}-{theme}")
        assert page.barriers() == []
        page.expected |= {401}
        page.page.get_by_label("Token").fill(new_secret())
        page.press("Log in")
        page.page.get_by_text("unknown, revoked or too old").wait_for()
        page.picture(f"login-refused-{size}-{theme}")
        assert page.barriers() == []


def test_a_token_logs_in_where_one_wanted_to_go_and_one_can_go_again(browser: Browser, scene: Scene) -> None:
    _, secret = scene.do(scene.place.issued(Role.VIEWER, "from the form"))
    with at_the_login(browser, scene) as page:
        page.go("/runs?flow=failing")
        assert page.page.url.startswith(f"{scene.address}/login?next=")
        page.page.get_by_label("Token").fill(secret)
        page.press("Log in")
        page.page.wait_for_url(f"{scene.address}/runs?flow=failing")
        page.page.get_by_title("Logged in as from the form").wait_for()
        page.press("Log out")
        page.page.wait_for_url(f"{scene.address}/login")
        page.go("/runs")
        assert "/login" in page.page.url


def test_a_link_on_another_site_logs_in(browser: Browser, scene: Scene) -> None:
    html = f'<a href="{scene.link(Role.OPERATOR)}">in</a>'
    with other_site(browser, html) as page:
        page.get_by_text("in").click()
        page.wait_for_url(f"{scene.address}/")
        page.get_by_role("heading", name="Flows").first.wait_for()


def test_a_link_on_another_site_leads_to_its_page_and_not_to_the_login(
    browser: Browser, scene: Scene
) -> None:
    html = f'<a href="{scene.address}/runs?flow=failing">the run that failed</a>'
    with other_site(browser, html, link=scene.link(Role.VIEWER)) as page:
        page.get_by_text("the run").click()
        page.wait_for_url(f"{scene.address}/runs?flow=failing")
        page.get_by_role("heading", name="Runs").first.wait_for()
    with other_site(browser, html) as page:  # who is not logged in is asked to, once
        page.get_by_text("the run").click()
        page.get_by_label("Token").wait_for()
        assert page.url == f"{scene.address}/login?next=%2Fruns%3Fflow%3Dfailing"


def test_a_form_of_another_site_changes_nothing(browser: Browser, scene: Scene) -> None:
    html = f'<form method="post" action="{scene.address}/rooms/echo"><button>win</button></form>'
    with other_site(browser, html, link=scene.link(Role.ADMIN)) as page:
        with page.expect_response(f"{scene.address}/rooms/echo") as caught:
            page.get_by_text("win").click()
        assert caught.value.status in (401, 403)


def test_another_site_reads_nothing_and_shows_nothing_of_ours(browser: Browser, scene: Scene) -> None:
    html = f'<iframe src="{scene.address}/login"></iframe><script src="{scene.address}/livez"></script>'
    with other_site(browser, html, link=scene.link(Role.ADMIN)) as page:
        asked = f"fetch('{scene.address}/rooms/csrf', {{credentials: 'include'}}).then(() => 'read', () => 'kept out')"
        assert page.evaluate(asked) == "kept out"
        frame = page.frames[1]
        frame.wait_for_load_state()
        assert "Log in" not in frame.content()
