"""The page of a run that failed: the last line of the flow's own code, and behind it the item and the traceback."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from piko_flow import Flow, Registry, Retry, RunContext, Sink, Source, Transform
from piko_flow.control.runs.failure_record import failures_in
from piko_flow.planning.run_state import RunStatus
from tests.browser.conftest import Opens
from tests.browser.console_flows import HTML
from tests.browser.console_scene import Scene, console_scene
from tests.system.running_app import eventually

SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


def read_page(book: str) -> str:
    """Nothing is on it."""
    raise LookupError(
        f"there is no page in {book}, which is a long line that has to be scrolled to its end, {HTML}"
    )


def put(item: object) -> None:
    """A sink."""


def failing_flows() -> Registry[Flow]:
    """A job that fails in both of its attempts, and a pipeline that fails on an item."""
    flows: Registry[Flow] = Registry()

    @Flow.register("read_book", registry=flows, retry=Retry(attempts=2, first=0.01))
    async def read_book(run: RunContext) -> None:
        try:
            read_page(f"attempt {run.attempt}")
        except LookupError as error:
            raise RuntimeError(f"attempt {run.attempt} came to nothing") from error

    Flow.register("read_pages", Source([f"book {HTML}"]) >> Transform(read_page) >> Sink(put), registry=flows)
    return flows


@pytest.fixture(scope="module")
def scene(nothing_left_of_the_module: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """An application in which both have failed."""
    with console_scene(tmp_path_factory.mktemp("failures"), failing_flows()) as found:
        for flow, attempts in (("read_book", 2), ("read_pages", 1)):
            found.runs[flow] = number = found.trigger(flow)
            found.wait_run(number, RunStatus.FAILED)
            found.do(eventually(partial(_kept, found, number, attempts)))
        yield found


async def _kept(scene: Scene, run: int, attempts: int) -> bool:
    reports = await scene.place.world.app.ask(lambda plane: plane.store.reports(run))
    return len(failures_in(reports)) == attempts


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("flow", ["read_book", "read_pages"])
def test_the_traceback_opens_and_scrolls_in_its_own_block(
    scene: Scene, opens: Opens, flow: str, size: str
) -> None:
    page = opens(f"/runs/{scene.runs[flow]}", viewport=SIZES[size])
    for summary in page.find(".failure > summary").all():
        summary.click()
    page.find(".trace").first.wait_for()
    page.shown(f"run-traceback-{flow}-{size}")
    wide = page.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= SIZES[size]["width"], "the page scrolls sideways"
    if size == "phone":
        assert page.find(".trace").first.evaluate("block => block.scrollWidth > block.clientWidth")


def test_each_attempt_has_its_own_traceback_under_the_last_line_of_the_flow(
    scene: Scene, opens: Opens
) -> None:
    page = opens(f"/runs/{scene.runs['read_book']}")
    last, first = page.find(".notice .failure"), page.find(".lines .failure")
    for attempt, block in ((2, last), (1, first)):
        assert block.count() == 1
        assert "in read_book" in block.locator("summary").inner_text()
        assert not block.locator(".trace").is_visible()
        block.locator("summary").click()
        told = block.locator(".trace").inner_text()
        assert f"there is no page in attempt {attempt}" in told
        assert "in read_page\n" in told
        assert told.rstrip().endswith(f"RuntimeError: attempt {attempt} came to nothing")


def test_html_in_an_item_and_a_traceback_is_shown_as_text(scene: Scene, opens: Opens) -> None:
    page = opens(f"/runs/{scene.runs['read_pages']}")
    page.find(".failure > summary").click()
    assert page.find(".failure pre").first.inner_text() == f"'book {HTML}'"
    assert HTML in page.find(".trace").inner_text()
    assert page.find("main img").count() == 0


def test_a_traceback_can_be_scrolled_with_keys(scene: Scene, opens: Opens) -> None:
    page = opens(f"/runs/{scene.runs['read_pages']}", viewport=SIZES["phone"])
    page.find(".failure > summary").focus()
    page.page.keyboard.press("Enter")
    page.find(".trace").focus()
    page.page.keyboard.press("ArrowRight")
    page.until("document.querySelector('.trace').scrollLeft > 0")
