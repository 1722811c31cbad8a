"""What comes wrong gets one clear answer, and changes nothing."""

import asyncio
import json
import logging
from typing import Any

import pytest
from pydantic import BaseModel

from piko_flow.control.flows.flow import Flow
from piko_flow.errors import LeadershipLost, RequestConflicts
from piko_flow.ops.api import asking
from piko_flow.ops.problems import problem_of
from tests.unit.api_worlds import api_world
from tests.unit.planes import begun, do_nothing, ended, hour, queued

HUGE = 10**400
WINDOW = '{"window": {"start": "2026-03-01T08:00:00Z", "end": "2026-03-01T09:00:00Z"}}'
BODIES: list[tuple[str, str, Any, str]] = [
    ("POST", "/flows/mail/runs", {"dry_run": "yes"}, "body.dry_run"),
    ("POST", "/flows/mail/runs", {"nonsense": 1}, "body.nonsense"),
    ("POST", "/flows/mail/runs", {"params": []}, "body.params"),
    ("POST", "/flows/mail/runs", {"params": {"a": HUGE}}, "body.params"),
    ("POST", "/flows/mail/runs", {"params": {"a": "\0"}}, "body.params"),
    ("POST", "/flows/mail/runs", {"params": {"a\ud800": 1}}, "body.params"),
    ("POST", "/flows/mail/runs", {"key": "a\0b"}, "body.key"),
    ("POST", "/flows/mail/runs", {"key": "k" * 184}, "body.key"),
    ("POST", "/flows/mail/runs", {"key": 7}, "body.key"),
    ("POST", "/flows/mail/runs", {"window": {"start": 0, "end": 1}}, "body.window.start"),
    ("POST", "/flows/mail/runs", {"window": {"start": "2026-03-01T00:00:00"}}, "body.window.start"),
    ("POST", "/flows/mail/runs", {"window": {"start": "9999-12-31T23:00:00-14:00"}}, "body.window.start"),
    ("POST", "/flows/mail/runs", {"window": {"start": "2026-02-30T00:00:00Z"}}, "body.window.start"),
    ("POST", "/flows/mail/runs", [], "body"),
    ("POST", "/flows/mail/runs", "text", "body"),
    ("PATCH", "/schedules/mail", {"max_instances": 0}, "body.max_instances"),
    ("PATCH", "/schedules/mail", {"max_instances": 2**63}, "body.max_instances"),
    ("PATCH", "/schedules/mail", {"jitter": "1"}, "body.jitter"),
    ("PATCH", "/schedules/mail", {"jitter": True}, "body.jitter"),
    ("PATCH", "/schedules/mail", {"schedule_type": "moon"}, "body.schedule_type"),
    ("PATCH", "/schedules/mail", {"concurrency_group": "x" * 65}, "body.concurrency_group"),
    ("PATCH", "/flows/mail/params", {"schema_version": 10**30}, "body.schema_version"),
    ("POST", "/flows/mail/params/rollback", {"version": -1}, "body.version"),
    ("POST", "/backfills", {"flow": "a/b"}, "body.flow"),
    ("POST", "/backfills/plan", {"concurrency": 0}, "body.concurrency"),
    ("POST", "/dead-letters/replay", {"ids": [1, "2"]}, "body.ids.1"),
    ("POST", "/dead-letters/drop", {"ids": list(range(1, 600))}, "body.ids"),
    ("POST", "/dead-letters/drop", {"group": "'; DROP TABLE job_run; --"}, "body.group"),
]
ADDRESSES = [
    ("/runs/0", "path.run"),
    ("/runs/-1", "path.run"),
    ("/runs/abc", "path.run"),
    ("/runs/1.5", "path.run"),
    (f"/runs/{2**53}", "path.run"),
    (f"/runs/{HUGE}", "path.run"),
    ("/runs?limit=0", "query.limit"),
    ("/runs?limit=1001", "query.limit"),
    ("/runs?status=MAYBE", "query.status.0"),
    ("/runs?before=nan", "query.before"),
    (f"/runs?flow={'x' * 129}", "query.flow"),
    ("/runs?flow=a%00b", "query.flow"),
    ("/flows/a%00b", "path.flow"),
    ("/flows/a%5Cb", "path.flow"),
    (f"/flows/{'x' * 129}", "path.flow"),
    ("/flows?after=%00", "query.after"),
    ("/backfills?open=maybe", "query.open"),
    ("/dead-letters?group=ab", "query.group"),
    ("/dead-letters?state=lost", "query.state"),
    ("/schedules?limit=0", "query.limit"),
    ("/schedules?limit=1001", "query.limit"),
    ("/schedules?after=a%00", "query.after"),
    ("/schedules/mail/preview?n=0", "query.n"),
    ("/schedules/mail/preview?after=yesterday", "query.after"),
    ("/events?run=0", "query.run"),
]


@pytest.mark.parametrize(("method", "path", "body", "where"), BODIES)
async def test_a_wrong_body_is_told_place_by_place(method: str, path: str, body: Any, where: str) -> None:
    async with api_world() as world:
        text = json.dumps(body)
        headers = {"Content-Type": "application/json"}
        problem = await world.ask(method, path, 422, content=text, headers=headers)
        assert problem["type"] in ("urn:piko-flow:invalid", "urn:piko-flow:refused")
        pointer = "#" + "".join(f"/{key}" for key in where.split(".")[1:])
        told = next(one for one in problem["errors"] if one["pointer"] == pointer)
        assert told["what"]
        assert told["rule"]
        assert told["got"]
        assert {"what", "rule", "got"} < problem.keys()
        assert "Value error" not in str(problem)
        assert (await world.get("/runs"))["runs"] == []


@pytest.mark.parametrize(("path", "where"), ADDRESSES)
async def test_a_wrong_address_is_told_place_by_place(path: str, where: str) -> None:
    async with api_world() as world:
        problem = await world.get(path, 422)
        kind, _, name = where.partition(".")
        [told] = problem["errors"]
        assert (told["parameter"], told["what"]) == (
            name.partition(".")[0],
            f"{kind} parameter {name.partition('.')[0]}",
        )
        assert told["got"]


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "nonsense",
        '{"a": ',
        "\0",
        '{"key": "\\ud800"',
        '{"a": 1' + "0" * 5000 + "}",
        "[" * 100_000,
        "[" * 100_000 + "NaN",
        "{NaN",
        '{"params": {"a": NaN}}',
        '{"params": {"a": [-Infinity]}}',
    ],
)
async def test_a_body_that_is_no_json_cannot_be_read(body: str) -> None:
    async with api_world() as world:
        headers = {"Content-Type": "application/json"}
        problem = await world.ask("POST", "/flows/mail/runs", 400, content=body, headers=headers)
        assert (problem["type"], problem["what"], problem["rule"]) == (
            "urn:piko-flow:unreadable",
            "the body",
            "it is JSON",
        )
        assert problem["got"]


async def test_a_number_that_json_does_not_have_is_named_and_one_that_is_too_large_is_refused() -> None:
    async with api_world() as world:
        headers = {"Content-Type": "application/json"}
        told = await world.ask(
            "POST", "/flows/mail/runs", 400, content='{"params": {"a": NaN}}', headers=headers
        )
        assert told["got"] == "NaN is no number of JSON"
        told = await world.ask(
            "POST", "/flows/mail/runs", 422, content='{"params": {"a": 1e999}}', headers=headers
        )
        assert told["rule"] == "a number has at most 64 bits, so it is below 1.8e308"
        # in a text it is a word as any other
        told = await world.ask("POST", "/flows/mail/runs", 422, json={"params": {"a": "NaN"}, "windw": 1})
        assert told["advice"] == "Did you mean window?"


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("flow=mai", "no flow is registered as 'mai'; did you mean 'mail'?"),
        ("run=99999", "there is no such run, or it has been pruned"),
        ("flow=mail&run=99999", "there is no such run, or it has been pruned"),
    ],
)
async def test_nothing_is_heard_of_what_is_not_there(asked: str, got: str) -> None:
    async with api_world() as world:
        told = await world.get(f"/events?{asked}", 404)
        assert (told["type"], told["got"]) == ("urn:piko-flow:not-found", got)


async def test_a_new_row_without_a_trigger_is_told_the_fields_of_one() -> None:
    async with api_world() as world:
        Flow.register("bare", do_nothing, registry=world.scene.registry)
        told = await world.ask("PATCH", "/schedules/bare", 422, json={"max_instances": 2})
        assert told["rule"] == "a new row needs a trigger"
        assert told["advice"].startswith("Give it one: schedule_type and schedule_expr;")
        assert "--" not in (await world.ask("PATCH", "/schedules/bare", 422, json={}))["advice"]


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", None])
async def test_a_body_that_does_not_say_that_it_is_json_is_told_which_header_to_send(
    kind: str | None,
) -> None:
    async with api_world() as world:
        headers = {} if kind is None else {"Content-Type": kind}
        problem = await world.ask(
            "POST", "/flows/mail/runs", 415, content='{"dry_run": true}', headers=headers
        )
        assert problem["got"] == (f"it says {kind}" if kind else "it does not say what it is")
        assert problem["advice"] == "Send the header Content-Type: application/json"
        assert (await world.get("/runs"))["runs"] == []


async def test_where_a_body_is_needed_and_none_came_an_example_is_told() -> None:
    async with api_world() as world:
        problem = await world.ask("POST", "/backfills/plan", 422)
        assert (problem["what"], problem["rule"], problem["got"]) == (
            "the body",
            "it is needed",
            "it is missing",
        )
        assert problem["advice"].startswith('Send for example {"flow": "sync_orders"')
        problem = await world.ask("POST", "/backfills/plan", 422, json=[1])
        assert (problem["rule"], problem["got"]) == ("it is a JSON object", "got a list")
        problem = await world.get("/runs/abc", 422)
        assert (problem["rule"], problem["got"]) == ("it is a whole number", "got 'abc'")


async def test_a_flow_is_triggered_without_a_body() -> None:
    async with api_world() as world:
        assert (await world.ask("POST", "/flows/mail/runs", 201))["run"]["flow"] == "mail"


async def test_an_unknown_field_or_parameter_is_told_the_nearest_known_one() -> None:
    async with api_world() as world:
        problem = await world.post("/flows/mail/runs", {"windw": 1, "nothing_like_it": 2}, 422)
        assert [one["advice"] for one in problem["errors"]] == [
            "Did you mean window?",
            f"It takes dry_run, key, params, window. Send for example {WINDOW}",
        ]
        bare = await world.ask("PATCH", "/flows/mail/params", 422, json={"region": "us"})
        assert bare["advice"].endswith('. Send for example {"changes": {"region": "us"}}')
        window = {"start": "2026-03-02T10:00:00Z", "end": "2026-03-02T11:00:00Z", "strat": 1}
        problem = await world.post("/flows/mail/runs", {"window": window}, 422)
        assert (problem["errors"][0]["pointer"], problem["advice"]) == (
            "#/window/strat",
            "Did you mean start?",
        )
        problem = await world.get("/runs?flw=mail", 422)
        assert (problem["errors"][0]["parameter"], problem["advice"]) == ("flw", "Did you mean flow?")
        problem = await world.get("/leader?x=1", 422)
        assert problem["advice"] == "It takes none"
        problem = await world.get("/run", 404)
        assert problem["advice"] == "Did you mean /api/v1/runs? See /api/v1/openapi.json"


async def test_a_moment_without_its_offset_is_told_what_it_lacks() -> None:
    async with api_world() as world:
        window = {"start": "2026-03-02T10:00:00", "end": "2026-03-02T11:00:00Z"}
        problem = await world.post("/flows/mail/runs", {"window": window}, 422)
        assert (problem["what"], problem["got"]) == ("field window.start", "got text")
        assert problem["rule"].endswith("as 2026-03-01T09:00:00Z does, and this one has none")


async def test_no_advice_of_the_api_is_one_for_a_terminal() -> None:
    async with api_world() as world:
        await begun(world.scene, "orders", since=11, planned=12)
        await ended(world.scene, "orders", hour(11))
        problem = await world.post("/flows/orders/runs", {}, 422)
        assert (problem["got"], problem["advice"]) == ("there is none", "Name a window")
        problem = await world.post("/dead-letters/replay", {}, 422)
        assert problem["got"] == "got neither"


async def test_a_body_in_another_coding_is_refused() -> None:
    async with api_world() as world:
        as_json = {"Content-Type": "application/json"}
        await world.ask("POST", "/flows/mail/runs", 400, content=b'{"key": "\xff\xfe"}', headers=as_json)


@pytest.mark.parametrize("key", ["", "x" * 129, "with blank", "caf\xe9"])
async def test_a_wrong_key_is_refused(key: str) -> None:
    async with api_world() as world:
        headers = [(b"Idempotency-Key", key.encode("latin-1"))]
        problem = await world.post("/flows/mail/runs", {}, 422, headers=headers)
        assert problem["errors"][0]["parameter"] == "Idempotency-Key"


async def test_params_may_be_nested_but_not_without_end() -> None:
    async with api_world() as world:
        value: Any = 1
        for _ in range(20):
            value = [value]
        await world.post("/flows/mail/runs", {"params": {"a": value}}, 201)
        for _ in range(20):
            value = {"b": value}
        problem = await world.post("/flows/mail/runs", {"params": {"a": value}}, 422)
        assert "nested at most 32 deep" in problem["detail"]


async def test_a_window_that_ends_before_it_starts_is_refused_with_the_rule() -> None:
    async with api_world() as world:
        window = {"start": "2026-03-02T10:00:00Z", "end": "2026-03-02T09:00:00Z"}
        problem = await world.post("/flows/orders/runs", {"window": window}, 422)
        assert problem["rule"] == "the start lies before the end"


async def test_a_trigger_without_its_expression_is_refused() -> None:
    async with api_world() as world:
        problem = await world.ask("PATCH", "/schedules/mail", 422, json={"schedule_type": "cron"})
        assert problem["rule"] == "schedule_type and schedule_expr go together"


async def test_tricks_with_paths_find_nothing() -> None:
    async with api_world() as world:
        for path in (
            "//runs",
            "/runs/../../metrics",
            "/runs/%2e%2e/x",
            "/flows/a%2Fb",
            "/flows/..%2f..%2fetc",
        ):
            answer = await world.client.get(f"/api/v1{path}")
            assert answer.status_code in (404, 422), path
            assert "runs" not in answer.json(), path


async def test_html_in_a_name_is_told_as_json_and_no_page() -> None:
    async with api_world() as world:
        name = "<script>alert(1)<&script>"
        Flow.register(name, do_nothing, registry=world.scene.registry)
        await queued(world.scene, name)
        answer = await world.client.get("/api/v1/runs")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["runs"][0]["flow"] == name
        answer = await world.client.get("/api/v1/flows/<img src=x>")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_another_method_is_told_what_the_address_takes() -> None:
    async with api_world() as world:
        for method, path, takes in (
            ("PUT", "/flows", "GET"),
            ("DELETE", "/runs/1", "GET"),
            ("GET", "/runs/1/cancel", "POST"),
            ("POST", "/schedules/mail", "DELETE, GET, PATCH"),
            ("POST", "/openapi.json", "GET"),
        ):
            answer = await world.client.request(method, f"/api/v1{path}")
            assert (answer.status_code, answer.headers["allow"]) == (405, takes)
            assert answer.json()["type"] == "urn:piko-flow:method-not-allowed"


async def test_what_nobody_expected_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    async with api_world() as world:
        world.process.fails = RuntimeError("mysql://piko:hunter2@db")
        with caplog.at_level(logging.ERROR, logger="piko_flow.api"):
            answer = await world.client.get("/api/v1/runs")
        assert answer.status_code == 500
        assert "hunter2" not in answer.text
        assert "RuntimeError" in caplog.text


def test_a_conflict_and_a_lost_lead_have_their_status() -> None:
    conflict = RequestConflicts(what="retry run 1", rule="it is as it was seen", got="it is another now")
    problem, headers = problem_of(conflict)
    assert (problem.status, problem.type, headers) == (409, "urn:piko-flow:conflict", {})
    problem, headers = problem_of(LeadershipLost(lease="default"))
    assert (problem.status, headers) == (503, {"Retry-After": "2"})


async def test_a_question_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(work: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(asking, "LONGEST", 0.05)
    async with api_world() as world:
        world.process.ask = never  # type: ignore[method-assign]
        answer = await world.client.get("/api/v1/runs")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "it took longer than 0.05 s" in answer.json()["detail"]


async def test_wrong_params_are_told_each_with_its_place() -> None:
    async with api_world() as world:
        problem = await world.post("/flows/orders/runs", {"params": {"limit": "x", "region": 7}}, 422)
        assert problem["type"] == "urn:piko-flow:refused"
        assert {one["pointer"] for one in problem["errors"]} == {"#/params/region", "#/params/limit"}
        assert all(one["got"] and one["rule"] for one in problem["errors"])
        wrong = {"changes": {"limt": 1, "regon": "eu", "a/b": 1}}
        problem = await world.ask("PATCH", "/flows/orders/params", 422, json=wrong)
        pointers = {one["pointer"] for one in problem["errors"]}
        assert pointers == {"#/changes/limt", "#/changes/regon", "#/changes/a~1b"}
        assert problem["advice"] == "Did you mean 'limit'? Did you mean 'region'?"
        assert problem["got"].endswith("are none of them")


class Needed(BaseModel):
    """Parameters of which one has to be given."""

    region: str


@pytest.mark.parametrize("body", ["null", "{}", '{"params": null}', ""])
async def test_a_body_without_the_params_that_a_flow_needs_is_refused(body: str) -> None:
    async with api_world() as world:
        Flow.register("needy", do_nothing, params=Needed, registry=world.scene.registry)
        headers = {"Content-Type": "application/json"}
        problem = await world.ask("POST", "/flows/needy/runs", 422, content=body, headers=headers)
        assert "region" in str(problem["errors"])
        assert (await world.get("/runs"))["runs"] == []
