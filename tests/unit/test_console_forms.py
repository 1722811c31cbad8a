"""What the console's forms show of rows and models, and what filled ones say."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from html import unescape
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr

from piko_flow import Flow, Registry, RunContext
from piko_flow.control.operations.plane_params import shown_params
from piko_flow.errors import RequestRefused
from piko_flow.ops.console import params_form, schedule_form
from piko_flow.ops.console.conflicts import seen_by
from piko_flow.ops.console.field_refused import FieldRefused, about, fields_of_error, got_told
from piko_flow.ops.console.refusals import told_of
from piko_flow.store.records import ScheduleRecord
from piko_flow.store.seen import Seen
from piko_flow.url_passwords import HIDDEN
from tests.unit.api_worlds import PlaneProcess
from tests.unit.planes import scene
from tests.unit.test_console_answers import client

ROW = {
    "max_instances": "2",
    "misfire_grace": "60",
    "jitter": "5",
    "max_lookback_window": "0",
    "concurrency_group": "",
    "timezone": " Europe/Berlin ",
    "enabled": "on",
}


class Size(StrEnum):
    SMALL = "s"
    LARGE = "l"


class Login(BaseModel):
    user: str = "me"
    password: SecretStr = SecretStr("hidden")


class Params(BaseModel):
    name: str = Field("a", description="Whose", max_length=9)
    count: int = Field(3, ge=1)
    share: float = 0.5
    on: bool = True
    colour: Literal["red", "blue"] = "red"
    size: Size = Size.SMALL
    other_size: Size | None = None
    since: datetime | None = None
    tags: list[str] = []
    login: Login = Login()
    secret: SecretStr = SecretStr("hidden")


async def job(run: RunContext[Params]) -> None: ...


async def bare_job(run: RunContext) -> None: ...


FLOW = Flow.register("with_params", job, params=Params, registry=Registry())
BARE = Flow.register("without", bare_job, registry=Registry())
VALUES = shown_params(FLOW, Params())


def filled(**changes: str | None) -> dict[str, str]:
    """The form as a browser sends it when only this was changed; None for a box that is not ticked."""
    sent = {field.name: field.value for field in params_form.fields_of(FLOW, VALUES) if field.kind != "flag"}
    sent["on"] = "on"
    merged = {**sent, **changes}
    return {params_form.PREFIX + name: value for name, value in merged.items() if value is not None}


def test_each_field_of_a_model_has_a_kind_that_suits_it_and_no_secret_in_it() -> None:
    fields = {field.name: field for field in params_form.fields_of(FLOW, VALUES)}
    kinds = {name: field.kind for name, field in fields.items()}
    assert kinds == {
        "name": "text",
        "count": "number",
        "share": "number",
        "on": "flag",
        "colour": "choice",
        "size": "choice",
        "other_size": "choice",
        "since": "text",
        "tags": "json",
        "login": "json",
        "secret": "secret",
    }
    assert fields["colour"].choices == ("red", "blue")
    assert (fields["size"].choices, fields["size"].value, fields["size"].none) == (("s", "l"), "s", False)
    assert (fields["other_size"].choices, fields["other_size"].none) == (("s", "l"), True)
    assert fields["since"].none
    assert (fields["name"].description, fields["name"].limits) == ("Whose", (("maxlength", "9"),))
    assert fields["count"].limits == (("min", "1"),)
    assert all("hidden" not in field.value for field in fields.values())


def test_a_form_that_nobody_touched_changes_nothing() -> None:
    assert params_form.read_changes(FLOW, filled(), VALUES) == (None, {})


@pytest.mark.parametrize(
    ("name", "sent", "value"),
    [
        ("name", "b", "b"),
        ("name", "", ""),
        ("count", "4", 4),
        ("share", "0.75", 0.75),
        ("on", None, False),
        ("colour", "blue", "blue"),
        ("size", "l", "l"),
        ("other_size", "l", "l"),
        ("since", "2026-01-31T08:00:00Z", "2026-01-31T08:00:00Z"),
        ("tags", '["a",\r\n"b"]', ["a", "b"]),
        ("secret", "another", "another"),
    ],
)
def test_what_was_changed_is_read_as_the_model_has_it(name: str, sent: str | None, value: object) -> None:
    assert params_form.read_changes(FLOW, filled(**{name: sent}), VALUES) == ({name: value}, {})


@pytest.mark.parametrize(("name", "sent"), [("count", "four"), ("tags", "[1"), ("tags", "[" * 100_000)])
def test_what_cannot_be_read_is_refused(name: str, sent: str) -> None:
    changes, unread = params_form.read_changes(FLOW, filled(**{name: sent}), VALUES)
    assert (changes, list(unread)) == (None, [name])
    error = params_form.unreadable(FLOW, unread)
    assert (error.fields(), name in error.got) == (unread, True)


async def test_stars_are_never_written_over_a_secret_inside_a_value() -> None:
    plane = scene().plane
    plane.registry = Registry[Flow]()
    Flow.register("with_params", job, params=Params, registry=plane.registry)
    await plane.set_params("with_params", changes={"login": {"user": "me", "password": "swordfish"}})
    sent = filled(login=json.dumps({"user": "you", "password": HIDDEN}))
    async with client(process=PlaneProcess(plane)) as browser:
        saved = await browser.post("/flows/with_params/params", data={**sent, "seen_version": "1"})
        assert saved.status_code == 303
        shown = (await browser.get("/flows/with_params")).text
    assert "swordfish" not in shown
    [newest, _] = await plane.store.params("with_params")
    assert json.loads(newest.text)["login"] == {"user": "you", "password": "swordfish"}


class Wanted(BaseModel):
    size: Size
    api_key: str = "sk-live-123"
    token: str | None = "tok-456"
    maybe: bool | None = None
    on: bool = True
    count: int = 3
    secret: SecretStr = SecretStr("hidden")


async def test_a_choice_that_nobody_made_is_not_made_by_saving_the_form() -> None:
    async def sized(run: RunContext[Wanted]) -> None: ...

    plane = scene().plane
    plane.registry = Registry[Flow]()
    Flow.register("sized", sized, params=Wanted, registry=plane.registry)
    async with client(process=PlaneProcess(plane)) as browser:
        shown = (await browser.get("/flows/sized")).text
        assert '<option value="">choose one</option><option>s</option><option>l</option>' in shown
        assert re.search(r'name="p:on" checked>', shown)
        assert "sk-live-123" not in shown
        assert "tok-456" not in shown
        assert re.search(r'name="p:count"[^>]* value="3"', shown)
        sent = {"seen_version": "0", "p:size": "", "p:on": "on", "p:count": "3", "p:secret": ""}
        assert (await browser.post("/flows/sized/params", data=sent)).status_code == 422
        sent["p:size"] = "l"
        assert (await browser.post("/flows/sized/params", data=sent)).status_code == 303
        shown = (await browser.get("/flows/sized")).text
    [written] = await plane.store.params("sized")
    assert json.loads(written.text) == {"size": "l"}
    assert "<option>s</option><option selected>l</option>" in shown
    assert "choose one" not in shown


def test_a_secret_inside_a_value_is_changed_by_writing_it_out() -> None:
    changed = params_form.read_changes(FLOW, filled(login='{"user": "you", "password": "new"}'), VALUES)
    assert changed == ({"login": {"user": "you", "password": "new"}}, {})


def test_a_flow_without_a_model_has_one_field_for_all() -> None:
    [field] = params_form.fields_of(BARE, {"a": 1})
    assert (field.kind, json.loads(field.value)) == ("json", {"a": 1})
    sent = params_form.PREFIX + params_form.WHOLE
    assert params_form.read_changes(BARE, {sent: '{"a": 2}'}, {"a": 1}) == ({"a": 2}, {})
    changes, unread = params_form.read_changes(BARE, {sent: "[2]"}, {"a": 1})
    assert (changes, "JSON object" in unread[params_form.WHOLE]) == (None, True)


def test_differences_name_what_was_added_changed_and_removed() -> None:
    found = params_form.differences({"a": 1, "b": 2, "same": 0}, {"b": 3, "c": None, "same": 0})
    assert found == [("a", "1", ""), ("b", "2", "3"), ("c", "", "null")]


@pytest.mark.parametrize(
    ("kind", "row", "text"),
    [
        ("cron", {"cron": "0 2 * * *"}, "0 2 * * *"),
        ("interval", {"seconds": 7200}, "hours=2"),
        ("interval", {"seconds": 90}, "seconds=90"),
        ("interval", {"minutes": 10, "start_date": "2026-01-01"}, "minutes=10, start_date=2026-01-01"),
        ("date", {"run_date": "2026-01-31 08:00"}, "2026-01-31 08:00"),
        ("cron", {"hour": 2, "minute": 30}, '{"hour": 2, "minute": 30}'),
    ],
)
def test_a_schedule_is_written_as_people_write_it_and_read_back(
    kind: str, row: dict[str, object], text: str
) -> None:
    assert schedule_form.written(ScheduleRecord("flow", kind, json.dumps(row))) == (kind, text)
    read_kind, read = schedule_form.read_trigger({"kind": kind, "expression": text})
    again = ScheduleRecord("flow", read_kind, read)
    assert schedule_form.written(again) in {(kind, text), (kind, schedule_form.written(again)[1])}
    assert read_kind == kind


@pytest.mark.parametrize("text", ["no json", '"text"', "[1]"])
def test_a_row_that_is_no_schedule_is_shown_as_it_is(text: str) -> None:
    assert schedule_form.written(ScheduleRecord("flow", "cron", text)) == ("cron", text)


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        ({"kind": "weekly", "expression": "x"}, "its kind is one of"),
        ({"kind": "cron", "expression": "  "}, "1 to 2000 characters"),
        ({"kind": "cron", "expression": "x" * 3000}, "1 to 2000 characters"),
        ({"kind": "interval", "expression": "ten minutes"}, "KEY=NUMBER"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_refused(form: dict[str, str], rule: str) -> None:
    with pytest.raises(RequestRefused, match=rule):
        schedule_form.read_trigger(form)


def test_the_columns_of_a_form_are_those_of_a_row() -> None:
    columns = schedule_form.read_columns(ROW)
    assert columns == {
        "timezone": "Europe/Berlin",
        "enabled": True,
        "coalesce": False,
        "max_instances": 2,
        "misfire_grace": timedelta(seconds=60),
        "jitter": timedelta(seconds=5),
        "concurrency_group": "default",
        "max_lookback_window": 0,
    }


@pytest.mark.parametrize("sent", ["", "-1", "0", "1.5", "²", "9" * 30, "one"])
def test_a_number_that_is_none_is_refused(sent: str) -> None:
    with pytest.raises(RequestRefused, match="max instances"):
        schedule_form.read_columns({**ROW, "max_instances": sent})


def test_what_a_page_showed_is_read_from_its_form() -> None:
    form = {"seen_status": "FAILED", "seen_attempt": "2", "seen_state": "open", "seen_version": "0"}
    assert seen_by(form, "status", "attempt") == Seen(status="FAILED", attempt=2)
    assert seen_by(form, "version") == Seen(version=0)
    assert seen_by(form, "state") == Seen(state="open")


@pytest.mark.parametrize(
    "form", [{}, {"seen_status": "LOST", "seen_attempt": "1"}, {"seen_status": "FAILED"}]
)
def test_a_form_that_does_not_say_what_was_seen_is_refused(form: dict[str, str]) -> None:
    with pytest.raises(RequestRefused):
        seen_by(form, "status", "attempt")


def test_a_time_of_a_model_is_kept_when_nobody_changed_it() -> None:
    since = datetime(2026, 1, 31, tzinfo=UTC)
    values = shown_params(FLOW, Params(since=since))
    fields = {field.name: field.value for field in params_form.fields_of(FLOW, values)}
    assert fields["since"] == "2026-01-31T00:00:00Z"


@pytest.mark.parametrize(
    ("got", "told"),
    [
        ("'yesterday'", "got 'yesterday'"),
        ("'70'", "got '70'"),
        ("70", "got 70"),
        ("-1.5", "got -1.5"),
        ("None", "got None"),
        ("'a very long te…", "got 'a very long te…"),
        ("''", "got nothing"),
        ("got nothing", "got nothing"),
        ("got 'a' and 'b'", "got 'a' and 'b'"),
        ("there is none", "there is none"),
    ],
)
def test_a_message_ends_with_what_came(got: str, told: str) -> None:
    assert got_told(got) == told
    error = RequestRefused(what="read it", rule="it is a time", got=got)
    assert told_of(error).got == told
    with pytest.raises(FieldRefused) as refused, about("start"):
        raise error
    assert fields_of_error(refused.value) == {"start": f"it is a time; {told}"}


async def test_a_window_with_one_end_is_told_which_field_is_empty() -> None:
    process: Any = PlaneProcess(scene().plane)
    async with client(process=process) as browser:
        for sent, empty in (
            ({"start": "2026-03-01 08:00"}, "Window up to"),
            ({"end": "2026-03-01"}, "Window from"),
        ):
            answer = await browser.post("/flows/orders/trigger/preview", data=sent)
            assert answer.status_code == 422
            assert f'"{empty}" is empty' in unescape(answer.text)
        answer = await browser.post("/flows/orders/backfill/plan", data={"start": "2026-03-01"})
        assert '"Up to, left out" is empty' in unescape(answer.text)
