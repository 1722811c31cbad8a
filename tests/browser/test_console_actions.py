"""What people do on the pages, each done in the browser and looked up in the store."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.ops_records import Role
from tests.browser.conftest import Opens
from tests.browser.console_flows import HTML
from tests.browser.console_scene import Scene


def number_in(text: str) -> int:
    found = re.search(r"\d+", text)
    assert found is not None, text
    return int(found[0])


def test_a_flow_is_run_now_and_the_page_of_its_run_opens(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/unscheduled")
    page.press("Run now")
    number = number_in(page.told())
    run = scene.wait_run(number, RunStatus.SUCCESS)
    assert (run.flow, run.origin, run.requested_by) == ("unscheduled", "trigger", "test")
    assert page.page.url == f"{scene.address}/runs/{number}"
    page.page.get_by_text("success").first.wait_for()  # the page follows by itself


def test_a_flow_is_run_with_other_values_over_one_window(scene: Scene, opens: Opens) -> None:
    state = scene.ask(lambda plane: plane.store.states(["sync_orders"]))["sync_orders"]
    failed = next(span for span in state.ledger.spans if span.mark is Mark.FAILED)
    times = [
        f"{instant.astimezone(ZoneInfo('Europe/Berlin')):%Y-%m-%d %H:%M}"
        for instant in (failed.start, failed.start + timedelta(hours=1))
    ]
    page = opens("/flows/sync_orders")
    page.page.get_by_label("Window from").fill(times[0])
    page.page.get_by_label("Window up to").fill(times[1])
    page.page.get_by_label("Parameters for this run alone, as JSON").fill('{"limit": 7, "region": "us"}')
    page.press("Run with these")
    number = number_in(page.told())
    run = scene.wait_run(number, RunStatus.SUCCESS, RunStatus.FAILED)
    assert run.window == Window(failed.start, failed.start + timedelta(hours=1))
    assert json.loads(run.params or "{}") == {"limit": 7, "region": "us"}
    assert "given with it" in page.text()


def test_a_flow_is_paused_and_resumed(scene: Scene, opens: Opens) -> None:
    page = opens(f"/flows/{quote(HTML, safe='')}")
    page.press("Pause")
    assert "is paused" in page.told()
    page.page.get_by_text("paused by test").first.wait_for()
    page.press("Resume")
    assert "makes runs again" in page.told()


def test_all_schedules_are_paused_and_resumed_from_the_overview(scene: Scene, opens: Opens) -> None:
    page = opens("/")
    page.press("Pause all schedules")
    assert page.questions == ["Pause the schedules of all flows? What is queued or running goes on."]
    assert "All schedules are paused." in page.told()
    assert scene.ask(lambda plane: plane.paused_all()) != ""
    assert page.page.get_by_role("button", name="Pause all schedules").count() == 0
    page.find("#attention").locator("xpath=../..").get_by_text("All schedules are paused").wait_for()
    page.press("Resume all schedules")
    assert "make runs again" in page.told()
    assert scene.ask(lambda plane: plane.paused_all()) == ""
    assert opens("/", role=Role.VIEWER).page.get_by_role("button", name="Pause all schedules").count() == 0


def test_a_pause_that_nobody_can_read_is_told_with_its_reason_and_ended(scene: Scene, opens: Opens) -> None:
    scene.ask(
        lambda plane: plane.store.set_config(
            "piko_system_settings", '{"paused": "yes"}', schema_version=1, effective_from=None
        )
    )
    why = "because paused must be true or false, got 'yes' in the row piko_system_settings"
    page = opens("/")
    assert f"no flow makes new runs by itself, {why}" in page.text()
    assert f"The fires below make no runs: all schedules are paused, {why}." in opens("/flows/failing").text()
    page.press("Resume all schedules")
    assert "make runs again" in page.told()
    assert scene.ask(lambda plane: plane.paused_all()) == ""


def test_nothing_is_paused_by_who_says_no(scene: Scene, opens: Opens) -> None:
    page = opens("/")
    page.agrees = False
    page.press("Pause all schedules")
    assert len(page.questions) == 1
    assert scene.ask(lambda plane: plane.paused_all()) == ""


def test_a_schedule_is_tried_on_and_saved(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/unscheduled")  # without a row the form is open
    page.page.get_by_label("Expression").fill("30 4 1 1 *")
    page.press("Show the next fires")
    after = page.find("#fires")
    after.get_by_text("As it would be").wait_for()
    assert after.locator("li").count() == 8
    assert after.get_by_text("new").count() == 8
    page.shown("schedule-preview")
    page.press("Save the schedule")
    assert "saved" in page.told()
    row = scene.ask(lambda plane: plane.row("unscheduled"))
    assert row is not None
    assert (row.schedule_type, json.loads(row.schedule_expr)) == ("cron", {"cron": "30 4 1 1 *"})
    page.page.get_by_text("Edit the schedule").click()
    page.page.get_by_label("Kind").select_option("interval")
    page.page.get_by_label("Expression").fill("hours=3")
    page.press("Show the next fires")
    assert page.find("#fires .under").first.inner_text().startswith("30 4 1 1 *")
    page.press("Delete")
    assert "deleted" in page.told()
    assert scene.ask(lambda plane: plane.row("unscheduled")) is None


def test_a_schedule_that_cannot_be_is_told_beside_the_form(opens: Opens) -> None:
    page = opens("/flows/stream_orders")
    page.expected.add(422)
    page.page.get_by_label("Expression").fill("99 * * * *")
    page.press("Show the next fires")
    page.find("#fires [role=alert]").wait_for()
    assert "minute takes 0 to 59" in page.find("#fires").inner_text()


def test_parameters_are_changed_with_a_look_at_the_difference_and_rolled_back(
    scene: Scene, opens: Opens
) -> None:
    page = opens("/flows/sync_orders")
    assert "a token that nobody may see" not in page.page.content()
    page.page.get_by_label("limit", exact=True).fill("250")
    page.page.get_by_label("region").select_option("apac")
    page.press("Show what changes")
    page.find("#diff .diff").first.wait_for()
    assert page.find("#diff").inner_text().count("would be") == 2
    page.shown("params-difference")
    page.press("Save the parameters")
    assert "Version 1 of the parameters" in page.told()
    view = scene.ask(lambda plane: plane.params("sync_orders"))
    assert (view.values["limit"], view.values["region"]) == (250, "apac")
    page.page.get_by_label("limit", exact=True).fill("300")
    page.press("Save the parameters")
    page.page.get_by_text("History").click()
    page.shown("params-history")
    page.press("Go back to it")
    assert "hold again, as version 3" in page.told()
    assert scene.ask(lambda plane: plane.params("sync_orders")).values["limit"] == 250


def test_a_rollback_tells_which_version_to_come_is_given_up(scene: Scene, opens: Opens) -> None:
    later = datetime(2099, 1, 1, tzinfo=UTC)
    scene.ask(lambda plane: plane.set_params("sync_orders", changes={"limit": 50}))
    coming = scene.ask(
        lambda plane: plane.set_params("sync_orders", changes={"limit": 60}, effective_from=later)
    )
    page = opens("/flows/sync_orders")
    page.page.get_by_text("History").click()
    page.follow(page.page.get_by_role("button", name="Go back to it", exact=True).first)
    assert f"Version {coming.version}, which was to come, is given up." in page.told()
    page.page.get_by_text("History").click()
    lines = [" ".join(one.inner_text().split()) for one in page.find("section:has(#params) .lines li").all()]
    assert lines[0].startswith(f"version {coming.version + 1} in force")
    assert lines[1].startswith(f"version {coming.version} given up")
    page.shown("params-history")
    assert scene.ask(lambda plane: plane.params("sync_orders")).coming == ()


def test_a_value_that_the_model_refuses_is_told_and_a_secret_can_be_set(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/sync_orders")
    page.expected.add(422)
    page.page.get_by_label("labels").fill("no list")
    page.press("Show what changes")
    page.find("#diff [role=alert]").wait_for()
    assert "labels" in page.find("#diff").inner_text()
    page.page.get_by_label("labels").fill('["a"]')
    page.page.get_by_label("api token", exact=True).fill("quite another secret")
    page.press("Show what changes")
    page.find("#diff .diff").first.wait_for()
    page.press("Save the parameters")
    assert "of the parameters holds" in page.told()
    assert "quite another secret" not in page.page.content()
    row = next(one for one in scene.ask(lambda plane: plane.store.configs()) if one.flow == "sync_orders")
    assert json.loads(row.text)["api_token"] == "quite another secret"
    for one in scene.ask(lambda plane: plane.store.audit()):
        assert "quite another secret" not in one.before + one.after


def test_a_live_run_is_cancelled_and_retried(scene: Scene, opens: Opens) -> None:
    number = scene.runs["stream_orders"]
    scene.wait_run(number, RunStatus.RUNNING)
    page = opens(f"/runs/{number}")
    page.press("Cancel")
    assert "asked to stop" in page.told()
    scene.wait_run(number, RunStatus.CANCELLED)
    page.page.get_by_role("button", name="Retry").wait_for()  # the page follows by itself
    page.press("Retry")
    assert "waits for attempt 2" in page.told()
    assert scene.wait_run(number, RunStatus.RUNNING).attempt == 2


def test_dead_letters_are_replayed_and_dropped(scene: Scene, opens: Opens) -> None:
    page = opens("/dead-letters")
    page.follow(page.page.get_by_role("link", name="ValueError"))
    assert page.find("main .lines li").count() == 8
    page.find("main .lines a.name").first.click()
    page.press("Drop")
    assert "is dropped" in page.told()
    page.follow(page.page.get_by_role("link", name="ValueError"))
    page.follow(page.find("main .lines a.name").first)
    letter = number_in(page.find("h1").inner_text())
    page.press("Replay")
    number = number_in(page.page.url.removeprefix(scene.address))
    assert page.told().strip().startswith(f"Run {number} replays dead letter {letter}.")
    assert scene.wait_run(number, RunStatus.SUCCESS, RunStatus.FAILED).origin == "replay"
    page.go("/dead-letters")  # it has failed again
    page.page.get_by_role("button", name="Replay the items of check_orders").click()
    assert "1 run replays 7 dead letters" in page.told()
    scene.wait_run(scene.newest("check_orders").id, RunStatus.SUCCESS, RunStatus.FAILED)
    page.go("/dead-letters")  # they have failed again
    page.follow(page.page.get_by_role("button", name="Drop the items of check_orders"))
    assert "7 dead letters are dropped" in page.told()
    assert "No open dead letters" in page.text()


def test_the_leader_resigns(scene: Scene, opens: Opens) -> None:
    page = opens("/replicas", role=Role.ADMIN)
    page.press("Let the leader resign")
    assert "leads no more after term" in page.told()
    page.go("/audit")
    assert "leader.resign" in page.text()


def test_parameters_are_set_for_a_later_time(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/unscheduled")
    page.page.get_by_text("Store some all the same").click()
    page.page.get_by_label("All parameters").fill('{"a": 1}')
    page.page.get_by_label("In force from").fill("2031-05-06 07:08")
    page.press("Save the parameters")
    told = page.told()
    assert "holds for runs that are queued from May 6, 2031" in told.replace("6 May", "May 6,")
    view = scene.ask(lambda plane: plane.params("unscheduled"))
    assert view.version is None
    assert [str(one.effective_from) for one in view.coming] == ["2031-05-06 07:08:00+00:00"]
    assert "holds from" in page.find("#params").locator("xpath=../..").inner_text()


def test_the_row_of_a_flow_without_code_is_deleted(scene: Scene, opens: Opens) -> None:
    scene.place.world.sql(
        "INSERT INTO scheduled_job (job_id, schedule_type, schedule_expr) VALUES ('gone', 'cron', '{\"cron\": \"0 1 * * *\"}')"
    )
    page = opens("/flows/gone")
    assert "unregistered" in page.text()
    assert "No code of this application has the flow." in page.find("#flow .empty").last.inner_text()
    assert "next fire" not in page.find("#flow").inner_text()
    assert page.barriers() == []
    page.press("Delete its row")
    assert "is deleted" in page.told()
    assert scene.ask(lambda plane: plane.row("gone")) is None
