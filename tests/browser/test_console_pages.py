"""Every page in both themes, on a desk and on a phone: it opens, complains of nothing, asks nobody else, and bars nobody."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from piko_flow.store.ops_records import Role
from tests.browser.conftest import Opens
from tests.browser.console_flows import HTML
from tests.browser.console_scene import Scene

PAGES = {  # the path, its first heading, and what else stands in its main part
    "overview": ("/", "Flows", "sync_orders"),
    "overview-filtered": ("/?health=attention", "Flows", "refused_row"),
    "overview-nothing": ("/?q=there+is+none", "Flows", "No flow matches"),
    "flow-with-windows": ("/flows/sync_orders", "sync_orders", "Copy the orders that changed"),
    "flow-by-days": ("/flows/sync_orders?scale=days", "sync_orders", "Newest runs"),
    "flow-live": ("/flows/stream_orders", "stream_orders", "live"),
    "flow-refused": ("/flows/refused_row", "refused_row", "Its row is refused"),
    "flow-job": ("/flows/tick", "tick", "A plain job"),
    "flow-html": (f"/flows/{quote(HTML, safe='')}", HTML, "Have a name that must be escaped"),
    "runs": ("/runs", "Runs", "tick"),
    "runs-filtered": ("/runs?flow=failing&status=FAILED", "Runs", "the answer was"),
    "runs-none": ("/runs?flow=there_is_none", "Runs", "No run matches"),
    "run-failed": ("/runs/{failing}", "Run {failing}", "RuntimeError"),
    "run-with-letters": ("/runs/{check_orders}", "Run {check_orders}", "Items that failed for good"),
    "run-live": ("/runs/{stream_orders}", "Run {stream_orders}", "What it is doing, and why"),
    "backfills": ("/backfills", "Backfills", "No backfill yet"),
    "letters": ("/dead-letters", "Dead letters", "ValueError"),
    "letters-none": ("/dead-letters?flow=tick", "Dead letters", "No open dead letters"),
    "letter-group": ("/dead-letters/group?flow=check_orders&group={group}", "ValueError", "has no price"),
    "letter": ("/dead-letters/1", "Dead letter 1", "Traceback"),
    "replicas": ("/replicas", "Replicas", "leads"),
    "audit": ("/audit", "Audit", "run.trigger"),
}
ERRORS = {
    "not-found": ("/runs/999999", 404, "There is nothing here"),
    "no-such-flow": ("/flows/there_is_none", 404, "There is nothing here"),
    "no-such-page": ("/there/is/none", 404, "There is nothing here"),
    "not-a-number": ("/runs/first", 404, "There is nothing here"),
}
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


def path_of(scene: Scene, path: str) -> str:
    for flow, number in scene.runs.items():
        path = path.replace(f"{{{flow}}}", str(number))
    if "{group}" not in path:
        return path
    [group] = scene.ask(lambda plane: plane.letter_groups(flow="check_orders", limit=1))
    return path.replace("{group}", group.fingerprint)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_and_bars_nobody(scene: Scene, opens: Opens, name: str, size: str) -> None:
    path, heading, says = PAGES[name]
    page = opens(path_of(scene, path), role=Role.ADMIN, viewport=SIZES[size])
    page.find("h1").get_by_text(path_of(scene, heading), exact=True).wait_for()
    page.find("main").get_by_text(says).first.wait_for()
    page.shown(f"{name}-{size}")
    wide = page.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= SIZES[size]["width"], "the page scrolls sideways"


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_not_there_is_told_on_a_page(scene: Scene, opens: Opens, name: str) -> None:
    path, status, says = ERRORS[name]
    page = opens("/backfills")
    page.expected.add(status)
    answer = page.page.goto(scene.address + path)
    assert answer is not None
    assert answer.status == status
    assert says in page.text()
    page.shown(f"error-{name}")


def test_a_page_says_the_same_without_scripts(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/sync_orders", java_script_enabled=False)
    assert " UTC" in page.find("#lastruns").locator("xpath=../..").inner_text()
    page.go(path_of(scene, "/runs/{failing}"))
    page.press("Retry")
    assert "waits for attempt 2" in page.told()


def test_times_are_of_the_viewer_with_utc_beside(scene: Scene, opens: Opens) -> None:
    page = opens(path_of(scene, "/runs/{check_orders}"), timezone_id="Asia/Tokyo", locale="en-GB")
    began = page.find(".stat time").first
    assert "UTC" in began.inner_text()
    assert "Asia/Tokyo" in (began.get_attribute("title") or "")
    assert "Asia/Tokyo" in page.find("footer").inner_text()


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        ("12:00:00.000", "13:00:00.000", ("21:00", "22:00", "12:00", "13:00 UTC")),
        ("12:00:00.000", "12:00:20.000", ("21:00:00", "21:00:20", "12:00:00", "12:00:20 UTC")),
        (
            "12:00:00.000",
            "12:00:00.250",
            ("21:00:00.000", "21:00:00.250", "12:00:00.000", "12:00:00.250 UTC"),
        ),
    ],
)
def test_times_are_as_exact_as_they_have_to_be(
    start: str, end: str, shown: tuple[str, ...], opens: Opens
) -> None:
    page = opens("/backfills", timezone_id="Asia/Tokyo", locale="en-GB")
    page.page.evaluate(
        """([start, end]) => {
            const span = document.createElement("span");
            Object.assign(span.dataset, { start: `2026-03-10T${start}Z`, end: `2026-03-10T${end}Z` });
            span.id = "span";
            document.querySelector("main").append(span);
            settle(document);
        }""",
        [start, end],
    )
    told = page.find("#span").inner_text()
    assert all(part in told for part in shown), told
    assert told.count(":") == sum(part.count(":") for part in shown)


def test_files_may_be_kept_and_pages_not(opens: Opens) -> None:
    page = opens("/")
    style = page.find("link[rel=stylesheet]").get_attribute("href")
    for path, kept in ((style, True), ("/runs", False)):
        answer = page.page.request.get(f"{page.address}{path}")
        assert ("immutable" in answer.headers["cache-control"]) is kept


def test_the_theme_is_chosen_and_kept(opens: Opens) -> None:
    page = opens("/runs?status=FAILED", color_scheme="light")
    light = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _ in range(2):  # from the system's to light, and to dark
        page.find("button[name=theme]").click()
    assert page.page.url.endswith("/runs?status=FAILED")
    page.go("/backfills")
    assert page.find("html").get_attribute("data-theme") == "dark"
    assert page.page.evaluate("getComputedStyle(document.body).backgroundColor") != light
