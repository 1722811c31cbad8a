"""Keys, and pages that follow what happens."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import piko_flow.ops.console
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.ops_records import Role
from tests.architecture.checkout import ROOT
from tests.browser.conftest import Opens
from tests.browser.console_scene import Scene

if TYPE_CHECKING:
    from playwright.sync_api import Route

SCRIPT = Path(piko_flow.ops.console.__file__).parent / "static" / "console.js"


def test_keys_lead_from_page_to_page_and_are_told(opens: Opens) -> None:
    page = opens("/")
    keyboard = page.page.keyboard
    keyboard.press("/")
    assert page.page.evaluate("document.activeElement.id") == "q"
    keyboard.type("g r")  # is text in a field
    assert page.page.get_by_label("Search flows by name").input_value() == "g r"
    page.page.get_by_label("Search flows by name").blur()
    keyboard.press("?")
    page.find("dialog[open]").wait_for()
    page.picture("keys-desk-light")
    assert page.barriers() == []
    keyboard.press("Escape")
    page.find("dialog[open]").wait_for(state="detached")
    for key, path in (
        ("r", "/runs"),
        ("b", "/backfills"),
        ("d", "/dead-letters"),
        ("l", "/replicas"),
        ("f", "/"),
    ):
        with page.page.expect_navigation():
            keyboard.type(f"g{key}")
        assert page.page.url == page.address + path


def test_script_dialog_and_manual_know_the_same_keys(opens: Opens) -> None:
    goes = re.search(r"const GOES = \{(.*?)\};", SCRIPT.read_text("utf-8"))
    assert goes is not None
    keys = set(re.findall(r"(\w+): ", goes[1]))
    assert len(keys) > 5
    listed = "[...document.querySelectorAll('dialog dt')].map((one) => one.innerText.trim().split(/\\s+/))"
    for role, fewer in ((Role.ADMIN, set()), (Role.OPERATOR, {"a"})):
        page = opens("/", role=role)
        page.page.keyboard.press("?")
        page.find("dialog[open]").wait_for()
        told = {pair[1] for pair in page.page.evaluate(listed) if pair[0] == "g"}
        assert told == keys - fewer
        page.page.keyboard.press("Escape")
        with page.page.expect_navigation() if role is Role.ADMIN else nullcontext():
            page.page.keyboard.type("ga")
        assert page.page.url.removeprefix(page.address) == ("/audit" if role is Role.ADMIN else "/")
    manual = (ROOT / "docs" / "how-to" / "use-the-console.md").read_text("utf-8")
    sentence = re.search(r"Press `\?` for the keys.*?\n\n", manual, re.DOTALL)
    assert sentence is not None
    assert set(re.findall(r"`(\w)`", sentence[0])) == keys | {"g"}


def test_the_first_key_leads_past_the_navigation(opens: Opens) -> None:
    page = opens("/runs")
    page.page.keyboard.press("Tab")
    assert page.page.evaluate("document.activeElement.className") == "skip"
    page.page.keyboard.press("Enter")
    assert page.page.evaluate("document.activeElement.id") == "content"


def test_what_has_the_focus_can_be_seen(opens: Opens) -> None:
    page = opens("/flows/sync_orders")
    page.page.keyboard.press("Tab")
    outlines = set()
    for _ in range(12):
        page.page.keyboard.press("Tab")
        outlines.add(page.page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
    assert outlines == {"solid"}


def test_a_page_is_told_when_a_run_ends(scene: Scene, opens: Opens) -> None:
    page = opens("/backfills")  # a page that listens, and whose stream is seen from its beginning
    with page.page.expect_response(re.compile("/api/v1/events")) as stream:
        page.go("/runs?flow=unscheduled")
    assert stream.value.status == 200
    assert stream.value.headers["content-type"].startswith("text/event-stream")
    number = scene.trigger("unscheduled")
    scene.wait_run(number, RunStatus.SUCCESS)
    page.page.get_by_role("link", name=str(number), exact=True).wait_for()
    assert page.find("#lost").is_hidden()


def test_a_part_that_somebody_works_in_is_left_alone(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/check_orders")
    button = page.page.get_by_role("button", name="Run now")
    button.focus()
    page.page.evaluate("document.querySelector('#flow').dataset.seen = 'before'")
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url.removeprefix(scene.address))
        route.continue_()

    page.page.route(re.compile("/parts/flows/check_orders"), answer)
    number = scene.trigger("check_orders")
    scene.wait_run(number, RunStatus.SUCCESS, RunStatus.FAILED)
    # What the page asks of its own is asked before the second, which is asked by the test.
    refresh = "htmx.trigger(document.querySelector('#flow'), 'refresh')"
    page.page.evaluate(f"async () => {{ {refresh}; await fetch('/parts/flows/check_orders?scale=days'); }}")
    assert asked == ["/parts/flows/check_orders?scale=days"]
    assert page.find("#flow").get_attribute("data-seen") == "before"
    button.blur()
    page.page.get_by_role("link", name=str(number), exact=True).wait_for()
    assert len(asked) > 1
    assert page.find("#flow").get_attribute("data-seen") is None


def test_a_page_that_stands_still_says_so(scene: Scene, opens: Opens) -> None:
    page = opens("/backfills")
    page.page.clock.install()
    page.go("/flows/check_orders")
    told = page.find("#held")
    page.page.get_by_role("button", name="Run now").focus()
    page.page.evaluate("htmx.trigger(document.querySelector('#flow'), 'refresh')")
    assert told.is_hidden()
    page.page.clock.fast_forward(60_000)
    told.get_by_role("link").wait_for()
    page.shown("held")
    page.page.get_by_role("button", name="Run now").blur()
    told.wait_for(state="hidden")


def test_nothing_moves_for_those_who_asked_for_that(opens: Opens) -> None:
    page = opens("/runs?status=RUNNING", reduced_motion="reduce")
    style = "getComputedStyle(document.querySelector('.badge.running'), '::before').animationName"
    assert page.page.evaluate(style) == "none"


def test_a_server_that_answers_no_more_is_told(opens: Opens) -> None:
    page = opens("/replicas")
    page.forgiven |= {"net::ERR_FAILED", "htmx:sendError", "htmx:afterRequest"}
    page.page.route("**/parts/**", lambda route: route.abort())
    page.page.evaluate("htmx.trigger(document.querySelector('#replicas'), 'refresh')")
    page.find("#lost").wait_for(state="visible")
    page.page.unroute("**/parts/**")
    page.page.evaluate("htmx.trigger(document.querySelector('#replicas'), 'refresh')")
    page.find("#lost").wait_for(state="hidden")
    assert page.barriers() == []
    page.wrong = [
        line for line in page.wrong if "net::ERR_FAILED" not in line and "htmx:sendError" not in line
    ]
