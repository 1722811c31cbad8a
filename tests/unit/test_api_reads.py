"""What the API tells, and that it tells it as the commands do with --json."""

import json
from dataclasses import fields
from typing import Any

import pytest

from piko_flow.control.dead_letters.window_completeness import Completeness
from piko_flow.control.flows.json_values import RAW, json_values
from piko_flow.control.operations.explained_facts import Line
from piko_flow.control.operations.plane_backfills import BackfillPlan
from piko_flow.control.operations.plane_dead_letters import LetterView
from piko_flow.control.operations.plane_explains import Explanation
from piko_flow.control.operations.plane_flows import FlowView
from piko_flow.control.operations.plane_params import ParamsView, SeenParams
from piko_flow.control.operations.plane_replays import Replaying, ReplayRequest, Untaken
from piko_flow.control.operations.plane_replicas import LeaderView
from piko_flow.control.operations.plane_rows import Preview, PreviewedFire, ScheduleView
from piko_flow.control.operations.plane_runs import RunView
from piko_flow.ops.api.answers import backfills, dead_letters, flows, params, replicas, runs
from piko_flow.planning.run_state import RunStatus
from piko_flow.store import records
from piko_flow.store.ops_records import AuditRecord, LogLine, Role, RunDetail
from tests.unit.api_worlds import api_world
from tests.unit.planes import begun, ended, hour, lead, queued, running

ALIKE = [
    (runs.Run, records.RunRecord),
    (runs.Attempt, records.AttemptRecord),
    (runs.RunView, RunView),
    (runs.LogLine, LogLine),
    (runs.Explanation, Explanation),
    (runs.ExplanationLine, Line),
    (params.ParamsVersion, records.ParamsVersion),
    (params.ParamsRow, records.ConfigRecord),
    (params.ParamsView, ParamsView),
    (params.SeenParams, SeenParams),
    (flows.ScheduleRow, records.ScheduleRecord),
    (flows.ScheduleView, ScheduleView),
    (flows.Preview, Preview),
    (flows.PreviewedFire, PreviewedFire),
    (flows.FlowView, FlowView),
    (backfills.Backfill, records.BackfillRecord),
    (backfills.BackfillPlan, BackfillPlan),
    (dead_letters.DeadLetter, records.DeadLetterRecord),
    (dead_letters.LetterGroup, records.LetterGroup),
    (dead_letters.LetterView, LetterView),
    (dead_letters.Completeness, Completeness),
    (dead_letters.Replays, ReplayRequest),
    (dead_letters.Replaying, Replaying),
    (dead_letters.Untaken, Untaken),
    (replicas.Replica, records.ReplicaRecord),
    (replicas.Lease, records.Lease),
    (replicas.LeaderView, LeaderView),
    (replicas.Change, AuditRecord),
]


@pytest.mark.parametrize(("answer", "told"), ALIKE, ids=lambda one: one.__name__)
def test_an_answer_has_the_fields_that_the_commands_print(answer: Any, told: Any) -> None:
    printed = {field.name for field in fields(told)} - {RAW.get(told.__name__)}
    assert set(answer.model_fields) == printed


async def test_a_run_is_told_as_json_values_tell_it() -> None:
    async with api_world() as world:
        await begun(world.scene, "orders", since=9, planned=12)
        run = await ended(world.scene, "orders", hour(9))
        shown = await world.get(f"/runs/{run.id}")
        assert shown["run"] == json_values(await world.scene.plane.run(run.id))
        assert (shown["reports"], shown["live"]) == ({}, None)
        assert (await world.get("/runs"))["runs"] == [json_values(run)]


async def test_runs_are_filtered_and_come_page_by_page() -> None:
    async with api_world() as world:
        made = [await queued(world.scene, "mail") for _ in range(3)]
        await ended(world.scene, "idle", status=RunStatus.FAILED)
        first = await world.get("/runs", params={"flow": "mail", "limit": 2})
        assert [run["id"] for run in first["runs"]] == [made[2].id, made[1].id]
        rest = await world.get("/runs", params={"flow": "mail", "limit": 2, "before": first["before"]})
        assert ([run["id"] for run in rest["runs"]], rest["before"]) == ([made[0].id], None)
        failed = await world.get("/runs", params=[("status", "FAILED"), ("status", "SUCCESS")])
        assert [run["flow"] for run in failed["runs"]] == ["idle"]


async def test_a_run_has_its_log_its_reports_and_what_it_is_at() -> None:
    async with api_world() as world:
        run = await running(world.scene, "mail")
        store = world.scene.store
        lines = tuple(LogLine(world.scene.clock.now(), "INFO", "shop", f"line {n} <b>") for n in range(3))
        stages = [
            {"kind": "Source", "emitted": 5, "received": 0, "skipped": 0, "dead": 0},
            {"kind": "Sink", "emitted": 2, "received": 2, "skipped": 2, "dead": 1},
        ]
        await store.keep_details([RunDetail(run.id, 1, json.dumps({"stages": stages}), lines)])
        await store.show_live("one", {run.id: '{"stages": [{"name": "send"}]}'})
        shown = await world.get(f"/runs/{run.id}")
        assert shown["reports"] == {"1": {"stages": stages}}
        assert shown["counts"] == {"attempt": 1, "read": 5, "to_sinks": 2, "skipped": 2, "dead": 1}
        assert shown["live"]["report"] == {"stages": [{"name": "send"}]}
        page = await world.get(f"/runs/{run.id}/log", params={"limit": 2})
        assert [line["message"] for line in page["lines"]] == ["line 0 <b>", "line 1 <b>"]
        rest = await world.get(f"/runs/{run.id}/log", params={"limit": 2, "after": page["after"]})
        assert ([line["message"] for line in rest["lines"]], rest["after"]) == (["line 2 <b>"], None)


async def test_flows_come_page_by_page_with_what_the_code_says_and_no_secret() -> None:
    async with api_world() as world:
        first = await world.get("/flows", params={"limit": 2})
        assert ([one["name"] for one in first["flows"]], first["after"]) == (["audit", "idle"], "idle")
        assert [one["name"] for one in (await world.get("/flows", params={"after": "mail"}))["flows"]] == [
            "orders",
            "report",
        ]
        answer = await world.client.get("/api/v1/flows/orders")
        code = answer.json()["code"]
        assert (code["stateful"], code["backfill"], code["kind"]) == (True, "catch_up", "job")
        assert code["params_schema"]["properties"]["region"]["default"] == "eu"
        assert "default" not in code["params_schema"]["properties"]["api_token"]
        assert "default token" not in answer.text


async def test_params_are_shown_without_secrets() -> None:
    async with api_world() as world:
        await world.ask("PATCH", "/flows/orders/params", json={"changes": {"api_token": "hush", "limit": 3}})
        shown = await world.get("/flows/orders/params")
        assert shown["params"]["values"] == {"region": "eu", "limit": 3, "api_token": "******"}
        history = await world.client.get("/api/v1/flows/orders/params/history")
        assert history.json()["versions"][0]["values"] == {"limit": 3, "api_token": "******"}
        assert "hush" not in history.text


async def test_why_a_flow_and_a_run_do_not_run_is_told() -> None:
    async with api_world() as world:
        run = await queued(world.scene, "mail")
        told = (await world.get(f"/runs/{run.id}/explanation"))["explanation"]
        assert (told["run"]["id"], told["lines"][0]["reason"]) == (run.id, "no_leader")
        told = (await world.get("/flows/idle/explanation"))["explanation"]
        assert (told["flow"], told["run"], told["lines"][0]["reason"]) == ("idle", None, "no_schedule")


async def test_who_leads_is_told_to_viewers_and_the_audit_to_admins_only() -> None:
    async with api_world() as world:
        world.visit(Role.VIEWER)
        assert (await world.get("/leader"))["leader"]["lease"] is None
        await lead(world.scene)
        leader = (await world.get("/leader"))["leader"]
        assert (leader["leads"], leader["lease"]["holder"], leader["replicas"][0]["host"]) == (
            True,
            "one",
            "host-1",
        )
        assert "needs the role admin" in (await world.get("/audit", 403))["detail"]
        world.visit(Role.ADMIN)
        await world.scene.store.add_audit([AuditRecord("ann", "api", "pause", f"flow {n}") for n in range(3)])
        page = await world.get("/audit", params={"limit": 2})
        assert [one["subject"] for one in page["changes"]] == ["flow 2", "flow 1"]
        rest = await world.get("/audit", params={"limit": 2, "before": page["before"]})
        assert ([one["subject"] for one in rest["changes"]], rest["before"]) == (["flow 0"], None)
        assert [one["id"] for one in (await world.get("/audit?subject=flow 1"))["changes"]] == [2]


async def test_the_description_names_every_operation_with_its_errors_and_no_foreign_address() -> None:
    async with api_world() as world:
        found = await world.client.get("/api/v1/openapi.json")
        document = found.json()
        operations = [one for path in document["paths"].values() for one in path.values()]
        assert len(operations) == len({one["operationId"] for one in operations}) >= 35
        for one in operations:
            assert one["summary"]
            assert one["description"]
            assert one["tags"]
            assert {"400", "401", "403", "404", "409", "422", "429", "503"} <= set(one["responses"])
        assert document["security"] == [{"token": []}]
        assert (await world.client.get("/docs")).status_code == 404
        for path, methods in document["paths"].items():
            for method, one in methods.items():
                names = {given["name"] for given in one.get("parameters", ())}
                assert ("Idempotency-Key" in names) == (method != "get"), path
