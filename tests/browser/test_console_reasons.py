"""Pages tell why something does not run, and what each attempt of a run came to."""

from __future__ import annotations

from piko_flow.planning.run_state import RunStatus
from tests.browser.conftest import Opens
from tests.browser.console_scene import Scene
from tests.system.running_app import eventually

WHY = "section[aria-labelledby=why]"


def ended(scene: Scene, number: int, *, attempt: int) -> None:
    """Return when this attempt of the run has failed."""

    async def there() -> bool:
        found = await scene.place.world.app.ask(lambda plane: plane.store.run(number))
        return found is not None and (found.attempt, found.status) == (attempt, RunStatus.FAILED)

    scene.do(eventually(there))


def test_the_page_of_a_flow_tells_why_it_does_not_run(opens: Opens) -> None:
    page = opens("/flows/paused_flow")
    line = page.find(f"{WHY} li").filter(has_text="paused")
    line.first.wait_for()
    assert "a person" in line.first.inner_text()
    command = line.first.locator(".under").inner_text()
    assert command == "On the command line: piko-flow schedule resume paused_flow"
    page.go("/flows/refused_row")
    page.find(f"{WHY} li").filter(has_text="its schedule row is refused").wait_for()
    assert "61" in page.find(WHY).inner_text()


def test_the_page_of_a_run_tells_why_it_ended_so(scene: Scene, opens: Opens) -> None:
    page = opens(f"/runs/{scene.runs['failing']}")
    line = page.find(f"{WHY} li").filter(has_text="it ended as FAILED")
    line.wait_for()
    assert "RuntimeError" in line.inner_text()


def test_the_page_of_a_run_lists_its_attempts_with_what_each_came_to(scene: Scene, opens: Opens) -> None:
    number = scene.trigger("failing")
    scene.wait_run(number, RunStatus.FAILED)
    page = opens(f"/runs/{number}")
    attempts = page.find("section[aria-labelledby=attempts] > ul").first.locator(":scope > li")
    assert attempts.count() == 1
    page.press("Retry")
    ended(scene, number, attempt=2)
    page.go(f"/runs/{number}")
    assert attempts.locator(":scope > .name").all_inner_texts() == ["1", "2"]
    assert "the answer was" in attempts.first.inner_text()
    assert attempts.last.locator(".badge").inner_text() == "failed"
    assert "attempt 2" in page.find(".head__sub").first.inner_text()
