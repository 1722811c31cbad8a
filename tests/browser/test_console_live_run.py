"""The page of a run that is at work: it goes on by itself, all parts together, and takes nothing from whoever reads it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from piko_flow import Flow, Registry, RunContext
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.ops.console.formats import about
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch, Requeue
from tests.browser.conftest import Opens
from tests.browser.console_flows import HTML
from tests.browser.console_scene import Scene, console_scene

SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
TALL = 60  # lines that do not fit into the log's box
STREAM = re.compile("/api/v1/events")
AT_THE_END = "log => log.scrollHeight - log.scrollTop - log.clientHeight < 24"


class Told:
    """What the job is told from outside: how many lines it shall have logged, and that it may end then."""

    lines = 0
    ends = False


TOLD = Told()


def telling_flows() -> Registry[Flow]:
    """A plain job that logs what it is told to."""
    flows: Registry[Flow] = Registry()

    @Flow.register("telling", registry=flows)
    async def telling(run: RunContext) -> None:
        """Log, and end, when somebody says so."""
        logged = 0
        while not (TOLD.ends and logged == TOLD.lines):
            while logged < TOLD.lines:
                logged += 1
                run.logger.info("line %d. of %s", logged, HTML)
            await asyncio.sleep(0.05)

    return flows


@pytest.fixture(scope="module")
def scene(nothing_left_of_the_module: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """An application with a job that does as it is told."""
    with console_scene(tmp_path_factory.mktemp("live"), telling_flows()) as found:
        yield found


@pytest.fixture
def run(scene: Scene) -> Iterator[int]:
    """A run that has logged more than fits on the page at once, and goes on."""
    TOLD.lines, TOLD.ends = 0, False
    number = scene.trigger("telling")
    scene.wait_run(number, RunStatus.RUNNING)
    TOLD.lines = TALL
    scene.wait_log(number)
    yield number
    TOLD.ends = True
    scene.wait_run(number, RunStatus.SUCCESS, RunStatus.CANCELLED)


@pytest.mark.parametrize("streams", [True, False])
def test_the_page_of_a_plain_job_goes_on_by_itself(
    scene: Scene, opens: Opens, run: int, *, streams: bool
) -> None:
    page = opens("/runs")
    if not streams:
        page.page.add_init_script("Object.defineProperty(navigator, 'locks', {value: undefined})")
    page.go(f"/runs/{run}")
    took = page.find("[data-since]")
    before = took.inner_text()
    TOLD.lines = TALL + 3
    page.find("#log-lines").get_by_text(f"line {TALL + 3}.").wait_for()
    page.find(f"[data-since]:not(:text-is('{before}'))").wait_for()
    assert page.find("#log-count").inner_text() == f"{TALL + 3} lines"
    numbers = page.find("#log-lines > li").evaluate_all(
        "lines => lines.map(line => Number(line.dataset.line))"
    )
    assert numbers == list(range(1, TALL + 4)), "a line is shown twice, or not at all"
    assert page.find("main img").count() == 0


def test_the_log_opens_at_its_end_and_follows_unless_somebody_reads_what_is_above(
    scene: Scene, opens: Opens, run: int
) -> None:
    page = opens(f"/runs/{run}")
    log = page.find(".log")
    page.find("#log-lines").get_by_text(f"line {TALL}.").wait_for()
    assert log.evaluate(AT_THE_END)
    TOLD.lines = TALL + 5
    page.find("#log-lines").get_by_text(f"line {TALL + 5}.").wait_for()
    assert log.evaluate(AT_THE_END)
    log.evaluate(
        "log => new Promise(done => { log.addEventListener('scroll', () => requestAnimationFrame(done)); log.scrollTop = 10; })"
    )
    TOLD.lines = TALL + 9
    page.find("#log-lines").get_by_text(f"line {TALL + 9}.").wait_for()
    assert log.evaluate("log => log.scrollTop") == 10


def test_who_stands_in_the_log_sees_the_page_go_on(scene: Scene, opens: Opens, run: int) -> None:
    page = opens(f"/runs/{run}")
    page.find(".log").click()
    assert page.page.evaluate("document.activeElement.className") == "log"
    TOLD.lines = TALL + 2
    page.find("#log-lines").get_by_text(f"line {TALL + 2}.").wait_for()
    assert page.page.evaluate("document.activeElement.className") == "log"


def test_all_parts_of_the_page_tell_of_the_end_at_once(scene: Scene, opens: Opens, run: int) -> None:
    page = opens(f"/runs/{run}")
    assert "it is running" in page.text()
    page.page.evaluate(
        """() => {
        window.seen = new Set();
        const states = () => window.seen.add([
          document.querySelector('.head__sub .badge').textContent,
          document.getElementById('why') ? 'why' : 'nothing',
          document.querySelector('#attempts').closest('section').querySelector('.badge').textContent].join());
        new MutationObserver(states).observe(document.querySelector('main'), {childList: true, subtree: true});
      }"""
    )
    TOLD.lines, TOLD.ends = TALL + 1, True
    page.find(".head__sub .badge.success").wait_for()
    page.find("#log-lines").get_by_text(f"line {TALL + 1}.").wait_for()
    assert page.find("#why").count() == 0
    assert "success" in page.find("#run-rest .badge").inner_text()
    assert not page.page.evaluate("[...window.seen].some(seen => seen.startsWith('running,nothing'))")
    page.find("#run:not([data-live])").wait_for()


@pytest.mark.parametrize("size", SIZES)
def test_a_running_job_bars_nobody(scene: Scene, opens: Opens, run: int, size: str) -> None:
    page = opens(f"/runs/{run}", viewport=SIZES[size])
    page.find("#log-lines").get_by_text(f"line {TALL}.").wait_for()
    page.shown(f"run-telling-{size}")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]


@pytest.mark.parametrize("size", SIZES)
def test_a_run_that_was_taken_from_its_replica_shows_who_had_it(
    scene: Scene, opens: Opens, run: int, size: str
) -> None:
    page = opens(f"/runs/{run}", viewport=SIZES[size])

    async def take(plane: ControlPlane) -> None:
        found = await plane.store.run(run)
        assert found is not None
        lost = Requeue(run, found.claim, Reason.RESCUED, rescue=True)
        assert not (await plane.store.write(Batch("", requeues=[lost]))).stale

    scene.ask(take)
    attempts = page.find("section[aria-labelledby=attempts]")
    attempts.get_by_text("rescued", exact=True).wait_for()
    told = attempts.inner_text()
    assert "its replica died, and the run was taken from it" in told
    assert "process" in told
    page.shown(f"run-rescued-{size}")


def test_good_news_can_be_closed_and_passes_with_the_next_state_of_the_page(
    scene: Scene, opens: Opens, run: int
) -> None:
    page = opens("/flows/telling")
    page.press("Run now")
    page.find(".flash").get_by_text("is queued").wait_for()
    page.press("Close")
    assert page.find(".flash").count() == 0
    page.press("Cancel")
    page.find(".flash").get_by_text("is cancelled").wait_for()
    page.page.evaluate("performance.now = () => 20_000")  # by now it could be read
    page.find(".flash").wait_for(state="detached")
    page.go(f"/runs/{run}")
    assert page.find(".flash").count() == 0


def test_a_page_on_which_nothing_changes_any_more_gives_its_stream_back(
    scene: Scene, opens: Opens, run: int
) -> None:
    page = opens("/backfills")
    with page.page.expect_response(STREAM):
        page.go(f"/runs/{run}")
    with page.page.expect_event("requestfailed", lambda request: bool(STREAM.search(request.url))):
        TOLD.ends = True
    assert page.find(".head__sub .badge.success").count() == 1


def test_what_grows_by_itself_is_written_as_the_server_writes_it(scene: Scene, opens: Opens) -> None:
    page = opens("/runs")
    spans = [0, 1, 59, 60, 61, 179, 180, 3599, 3600, 3661, 10_799, 10_800, 86_399, 86_400, 90_000, 259_200]
    written = page.page.evaluate("spans => spans.map(about)", spans)
    assert written == [about(timedelta(seconds=span)) for span in spans]
