"""Who may not change things sees no buttons and is refused; who acts on a stale page gets a conflict; HTML stays text."""

from __future__ import annotations

import json

import pytest

from piko_flow.planning.run_state import RunStatus
from piko_flow.store.ops_records import Role
from tests.browser.conftest import Opens
from tests.browser.console_flows import HTML
from tests.browser.console_scene import Scene
from tests.browser.watched_page import WatchedPage

SHOWN = (
    "/",
    "/flows/sync_orders",
    "/flows/paused_flow",
    "/runs/{failing}",
    "/dead-letters",
    "/dead-letters/1",
    "/backfills",
    "/replicas",
)
CHANGES = (
    "/flows/tick/trigger",
    "/flows/tick/pause",
    "/flows/paused_flow/resume",
    "/flows/tick/schedule",
    "/flows/tick/schedule/preview",
    "/flows/tick/schedule/delete",
    "/flows/sync_orders/params",
    "/flows/sync_orders/params/preview",
    "/flows/sync_orders/params/rollback",
    "/flows/sync_orders/backfill/plan",
    "/flows/sync_orders/backfill",
    "/backfills/1/cancel",
    "/runs/{failing}/retry",
    "/runs/{stream_orders}/cancel",
    "/dead-letters/1/drop",
    "/dead-letters/group/drop",
    "/schedules/pause-all",
    "/replicas/resign",
)


def filled(scene: Scene, path: str) -> str:
    for flow, number in scene.runs.items():
        path = path.replace(f"{{{flow}}}", str(number))
    return path


def send(page: WatchedPage, path: str, **fields: str) -> int:
    """Send a form from the page, with what it proves itself with, whatever buttons the page has."""
    token = page.find("input[name=csrf_token]").first.get_attribute("value")
    answer = page.page.request.post(
        page.address + path,
        form={"csrf_token": token or "", **fields},
        headers={"origin": page.address},
        max_redirects=0,
    )
    return answer.status


@pytest.mark.parametrize("path", SHOWN)
def test_a_viewer_sees_no_buttons_that_change_anything(scene: Scene, opens: Opens, path: str) -> None:
    page = opens(filled(scene, path), role=Role.VIEWER)
    forms = page.find("form[method=post]")
    actions = {forms.nth(place).get_attribute("action") for place in range(forms.count())}
    assert actions == {"/console/theme", "/logout"}
    assert page.barriers() == []


@pytest.mark.parametrize("path", CHANGES)
def test_a_viewer_changes_nothing(scene: Scene, opens: Opens, path: str) -> None:
    page = opens("/", role=Role.VIEWER)
    assert send(page, filled(scene, path)) == 403


def test_an_operator_does_not_see_the_audit_nor_let_the_leader_resign(opens: Opens) -> None:
    page = opens("/replicas")
    assert page.page.get_by_role("button", name="Let the leader resign").count() == 0
    assert page.page.get_by_role("link", name="Audit").count() == 0
    page.expected.add(403)
    page.go("/audit")
    assert "not allowed" in page.text()
    page.picture("error-forbidden-desk-light")
    assert send(page, "/replicas/resign", seen="term 1") == 403


def test_a_change_without_proof_of_the_page_is_refused(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/tick")
    answer = page.page.request.post(scene.address + "/flows/tick/pause", headers={"origin": scene.address})
    assert answer.status == 403


def test_a_stale_page_that_acts_on_a_changed_run_gets_a_conflict(scene: Scene, opens: Opens) -> None:
    number = scene.trigger("failing")
    scene.wait_run(number, RunStatus.FAILED)
    stale, other = opens(f"/runs/{number}"), opens(f"/runs/{number}")
    other.press("Retry")
    scene.wait_run(number, RunStatus.FAILED)
    stale.expected.add(409)
    stale.press("Retry")
    assert "It has changed meanwhile" in stale.text()
    assert "Nothing was changed" in stale.text()
    stale.picture("error-conflict-desk-light")
    assert stale.barriers() == []
    assert scene.ask(lambda plane: plane.store.run(number)).attempt == 2  # type: ignore[union-attr]


def test_a_stale_form_of_a_schedule_gets_a_conflict(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/daily_report")
    page.page.get_by_text("Edit the schedule").click()
    scene.ask(lambda plane: plane.set_schedule("daily_report", max_instances=2))
    page.expected.add(409)
    page.page.get_by_label("Expression").fill("0 5 * * *")
    page.press("Save the schedule")
    assert "It has changed meanwhile" in page.text()


def test_html_in_names_errors_log_lines_and_items_is_shown_as_text(scene: Scene, opens: Opens) -> None:
    page = opens("/")
    assert page.page.get_by_role("link", name=HTML).count() >= 1
    page.follow(page.page.get_by_role("link", name=HTML).first)
    assert page.find("h1").inner_text() == HTML
    for path in ("/runs/{failing}", "/runs/{check_orders}", "/dead-letters", "/dead-letters/1"):
        page.go(filled(scene, path))
        assert HTML in page.text()
        assert page.find("main img").count() == 0


def test_a_log_line_with_html_is_shown_as_text(scene: Scene, opens: Opens) -> None:
    number = scene.trigger("tick")
    scene.wait_run(number, RunStatus.SUCCESS)
    scene.wait_log(number)
    page = opens(f"/runs/{number}")
    assert f"a line with {HTML}" in page.find(".log").inner_text()
    assert page.find("main img").count() == 0


def test_html_in_parameters_is_shown_as_text(scene: Scene, opens: Opens) -> None:
    number = scene.ask(lambda plane: plane.trigger("sync_orders", params={"labels": [HTML]})).id
    scene.wait_run(number, RunStatus.SUCCESS, RunStatus.FAILED)
    page = opens(f"/runs/{number}")
    assert HTML in page.find("section[aria-labelledby=params]").inner_text()
    assert page.find("main img").count() == 0
    page.go("/flows/sync_orders")
    field = page.page.get_by_label("labels", exact=True)
    field.fill(json.dumps([f"</textarea>{HTML}"]))
    page.press("Show what changes")
    page.find("#diff ins").first.wait_for()
    assert HTML in page.find("#diff").inner_text()
    page.press("Save the parameters")
    assert "img" in page.page.get_by_label("labels", exact=True).input_value()
    page.find("summary").filter(has_text="History").click()
    assert HTML in page.find("details .diff").first.inner_text()
    assert page.find("main img").count() == 0


def test_somebody_whose_session_has_ended_is_led_to_the_page_to_log_in_at(opens: Opens) -> None:
    page = opens("/", own=True)
    page.press("Log out")
    page.go("/runs")
    assert page.page.url.startswith(f"{page.address}/login?")
    page.picture("login-desk-light")
    assert page.barriers() == []
