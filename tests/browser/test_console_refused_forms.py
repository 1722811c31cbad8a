"""A form that is refused stays where it is: with what was typed, what is wrong at which field, and the focus on it."""

from __future__ import annotations

from tests.browser.conftest import Opens
from tests.browser.console_scene import Scene
from tests.browser.watched_page import WatchedPage


def summary(page: WatchedPage, form: str) -> str:
    """What is told of the form, on which the focus is."""
    told = page.find(f"#wrong-{form}")
    told.wait_for()
    page.until(f"document.activeElement.id === 'wrong-{form}'")
    return told.inner_text()


def described(page: WatchedPage, field: str) -> str:
    """What is told at a field that is wrong."""
    one = page.find(f"#{field}")
    assert one.get_attribute("aria-invalid") == "true"
    return page.find(f"#{(one.get_attribute('aria-describedby') or '').split()[0]}").inner_text()


def test_a_schedule_that_cannot_be_read_is_told_in_the_form(opens: Opens) -> None:
    page = opens("/flows/tick")
    page.expected.add(422)
    page.page.get_by_text("Edit the schedule").click()
    page.page.get_by_label("Kind", exact=True).select_option("cron")
    page.page.get_by_label("Expression").fill("61 * * * *")
    page.page.get_by_label("Runs at once").fill("7")
    page.press("Save the schedule")
    assert "minute takes 0 to 59" in summary(page, "schedule")
    assert "minute takes 0 to 59" in described(page, "expression")
    assert page.page.get_by_label("Expression").input_value() == "61 * * * *"
    assert page.page.get_by_label("Runs at once").input_value() == "7"
    page.shown("schedule-refused")
    page.page.get_by_label("Time zone").fill("Europe/Nowhere")
    page.press("Save the schedule")
    assert "IANA" in described(page, "timezone")


def test_a_preview_that_is_refused_marks_the_field(opens: Opens) -> None:
    page = opens("/flows/tick")
    page.expected.add(422)
    page.page.get_by_text("Edit the schedule").click()
    page.page.get_by_label("Expression").fill("nonsense")
    page.press("Show the next fires")
    page.find("#fires [role=alert]").wait_for()
    expression = page.find("#expression")
    assert expression.get_attribute("aria-invalid") == "true"
    page.page.get_by_label("Expression").fill("seconds=2")
    page.press("Show the next fires")
    page.page.get_by_text("As it would be").wait_for()
    assert expression.get_attribute("aria-invalid") is None


def test_parameters_that_do_not_fit_are_told_at_their_fields(opens: Opens) -> None:
    page = opens("/flows/sync_orders")
    page.expected.add(422)
    form = page.find("form[aria-label=Parameters]")
    form.evaluate("form => { form.noValidate = true; }")  # as without the browser's own checks
    form.get_by_label("limit").fill("0")
    form.get_by_label("api token").fill("hush hush")
    page.press("Save the parameters")
    told = summary(page, "params")
    assert "greater than or equal to 1" in told
    wrong = page.find("form[aria-label=Parameters] [aria-invalid=true]")
    assert [one.input_value() for one in wrong.all()] == ["0", ""]  # the secret is to be typed again
    assert "hush" not in page.page.content()
    page.shown("params-refused")


def test_a_secret_that_was_typed_into_an_old_page_is_asked_for_again(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/sync_orders")
    page.expected.add(409)
    form = page.find("form[aria-label=Parameters]")
    form.get_by_label("limit").fill("77")
    form.get_by_label("api token").fill("hush hush")
    scene.ask(lambda plane: plane.set_params("sync_orders", changes={"region": "us"}))
    page.press("Save the parameters")
    told = " ".join(summary(page, "params").split())
    assert "but for what may be secret: type api token again" in told
    assert "api token now a secret, you typed one that is not shown" in told
    secret = form.get_by_label("api token")
    assert (secret.input_value(), secret.get_attribute("aria-invalid")) == ("", "true")
    assert "Type it again" in described(page, secret.get_attribute("id") or "")
    assert form.get_by_label("limit").input_value() == "77"
    assert "hush" not in page.page.content()
    page.shown("params-conflict-with-secret")


def test_all_fields_that_cannot_be_read_are_told_at_once(opens: Opens) -> None:
    page = opens("/flows/sync_orders")
    page.expected.add(422)
    form = page.find("form[aria-label=Parameters]")
    form.evaluate("form => { form.noValidate = true; }")  # as without the browser's own checks
    form.get_by_label("labels").fill("")
    form.get_by_label("limit").fill("0")
    page.press("Save the parameters")
    told = summary(page, "params")
    assert "an empty list is []" in told
    assert "greater than or equal to 1" in told


def test_a_secret_for_one_run_is_not_sent_back(opens: Opens) -> None:
    page = opens("/flows/sync_orders")
    page.expected.add(422)
    page.page.get_by_label("Parameters for this run alone").fill('{"api_token": "s3cr3t", "limit": 0}')
    page.press("Run with these")
    assert "type parameters again" in summary(page, "trigger")
    assert page.page.get_by_label("Parameters for this run alone").input_value() == '{"limit": 0}'
    page.page.get_by_label("Parameters for this run alone").fill('{"api_token": "s3cr3t", "limit": 1')
    page.press("Run with these")
    assert "from line 1, character 35 on" in described(page, "tr-params")
    page.page.get_by_label("Parameters for this run alone").fill('{"limit": 0}')
    page.page.get_by_label("api token, for this run alone").fill("s3cr3t")
    page.press("Run with these")
    assert "type api token again" in summary(page, "trigger")
    assert "Type it again" in described(page, "tr-secret-1")
    assert "s3cr3t" not in page.page.content()
    page.shown("run-refused-with-secret")


def test_what_would_run_is_shown_before_and_refused_in_the_zone_of_the_fields(opens: Opens) -> None:
    page = opens("/flows/sync_orders", timezone_id="America/New_York")
    page.expected.add(422)
    assert "A time of Europe/Berlin" in page.find("#tr-zone-start").inner_text()
    page.page.get_by_label("Window from").fill("2026-03-01 10:20")
    page.page.get_by_label("Window up to").fill("2026-03-01 11:05")
    page.press("Show what would run")
    told = page.find("#runs-it [role=alert]")
    told.wait_for()
    assert "Name 2026-03-01 10:00+01:00 to 2026-03-01 11:00+01:00" in told.inner_text()
    assert page.find("#tr-start").get_attribute("aria-invalid") == "true"
    page.page.get_by_label("Window from").fill("2026-03-01 10:00+01:00")
    page.page.get_by_label("Window up to").fill("2026-03-01 11:00")
    page.page.get_by_label("api token, for this run alone").fill("s3cr3t")
    page.press("Show what would run")
    page.page.get_by_text("One window would run").wait_for()
    shown = page.find("#runs-it").inner_text()
    assert "In Europe/Berlin, as it is typed: 2026-03-01 10:00 .. 11:00+01:00" in shown
    assert "s3cr3t" not in page.page.content()
    page.shown("run-preview")


def test_a_run_that_is_refused_keeps_its_values(opens: Opens) -> None:
    page = opens("/flows/sync_orders")
    page.expected.add(422)
    page.page.get_by_label("Parameters for this run alone").fill('{"limit": "many"}')
    page.press("Run with these")
    assert "limit" in summary(page, "trigger")
    assert "limit" in described(page, "tr-params")
    assert page.page.get_by_label("Parameters for this run alone").input_value() == '{"limit": "many"}'
    page.page.get_by_label("Window from").fill("yesterday")
    page.page.get_by_label("Window up to").fill("2026-01-01")
    page.page.get_by_label("Parameters for this run alone").fill("")
    page.press("Run with these")
    assert "yesterday" in described(page, "tr-start")


def test_an_old_page_keeps_what_was_typed_and_tells_what_is_there_now(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/paused_flow")
    page.expected.add(409)
    page.page.get_by_text("Edit the schedule").click()
    page.page.get_by_label("Grace in seconds").fill("77")
    scene.ask(lambda plane: plane.set_schedule("paused_flow", max_instances=9))
    page.press("Save the schedule")
    told = summary(page, "schedule")
    assert "runs at once" in told
    assert "now 9, you typed 1" in " ".join(told.split())
    assert page.page.get_by_label("Grace in seconds").input_value() == "77"
    page.shown("schedule-conflict")
    page.press("Save the schedule")  # what was typed, over what is there now
    row = scene.ask(lambda plane: plane.row("paused_flow"))
    assert row is not None
    assert (row.max_instances, row.misfire_grace.total_seconds()) == (1, 77)


def test_a_gap_is_closed_from_the_page_of_its_flow(opens: Opens) -> None:
    page = opens("/")
    page.follow(page.page.get_by_role("listitem").get_by_role("link", name="Close the gap"))
    assert page.page.get_by_label("Windows that are").input_value() == "gap"
    assert page.page.get_by_label("From", exact=True).input_value()
    assert "would run" in page.find("#plan").inner_text()
    page.shown("backfill-of-gaps")
    page.expected.add(422)
    page.page.get_by_label("From", exact=True).fill("never")
    page.press("Preview the backfill")
    page.find("#plan [role=alert]").wait_for()
    assert page.find("#bf-start").get_attribute("aria-invalid") == "true"


def test_a_flow_that_is_held_up_says_by_which_window_of_which_flow(opens: Opens) -> None:
    page = opens("/")
    line = page.page.get_by_role("listitem").filter(has_text="held up")
    assert "waits for 'sync_orders'" in line.inner_text()
    assert line.locator("time").count() >= 2  # times in sentences are times like all others
    page.follow(line.get_by_role("link", name="daily_report"))
    assert "held up" in page.find(".head").inner_text()
    page.follow(page.find(".head").get_by_role("link", name="To sync_orders"))
    assert page.find("h1").inner_text() == "sync_orders"
