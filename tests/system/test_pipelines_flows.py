"""The flows of the folder `pipelines`, run by an application on an SQLite file as `piko-flow serve pipelines` does."""

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from piko_flow import Flow, Registry, Window, discover
from piko_flow.planning.run_state import RunStatus
from pipelines import producer_consumer, sync_orders
from tests.system.running_app import Running, eventually, running

SCHEDULED = {"mini_job", "storm_seasons", "sync_orders", "tree_digest", "who_runs"}
ASKING = {"sweep_http", "fetch_with_resource", "count_in_redis"}  # of a service
EMITTING = {"produce_intents", "emit_models"}
TRIGGERED = {
    "blocking": {"to_thread_demo": "bytes become", "cpu_submit_demo": "1500! has 4,115 digits"},
    "computing": {"cpu_map_reduce": "100 factorials have", "io_plus_cpu": ""},
    "asking": {"fanout_fanin": ""},
    "waiting": {"producer_consumer": "consumed 5,000", "own_resource": "time 1 in this process"},
}


@pytest.fixture
def flows() -> Registry[Flow]:
    """The flows of the folder, in a registry of the test's own."""
    registry: Registry[Flow] = Registry()
    discover("pipelines", registry=registry)
    registry.check()
    return registry


def unscheduled(flows: Registry[Flow], *names: str) -> Registry[Flow]:
    """Some of the flows, so that nothing else runs in a test."""
    chosen: Registry[Flow] = Registry()
    for name in names:
        chosen.add(flows[name])
    return chosen


@pytest_asyncio.fixture
async def all_at_work(
    flows: Registry[Flow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    """An application over the flows that have no schedule, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    async with running(unscheduled(flows, *(flows.keys() - SCHEDULED)), tmp_path) as app:
        yield app


def test_the_folder_has_these_flows_and_some_bring_a_schedule(flows: Registry[Flow]) -> None:
    triggered = set(itertools.chain.from_iterable(TRIGGERED.values()))
    by_rows = {"daily_job", "fast_job", "one_shot", "sweep_cfg"}
    assert set(flows) == SCHEDULED | triggered | by_rows | ASKING | EMITTING
    assert {name for name, flow in flows.items() if flow.schedule is not None} == SCHEDULED


@pytest.mark.parametrize("subject", TRIGGERED)
async def test_a_flow_runs_when_it_is_triggered(
    subject: str, all_at_work: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = [await all_at_work.trigger(name) for name in TRIGGERED[subject]]
    assert [(run.flow, run.status, run.error_msg) for run in ended] == [
        (name, RunStatus.SUCCESS, "") for name in TRIGGERED[subject]
    ]
    printed = capsys.readouterr().out
    assert [said for said in TRIGGERED[subject].values() if said not in printed] == []


async def test_what_is_asked_and_computed_lies_in_files(all_at_work: Running, tmp_path: Path) -> None:
    await all_at_work.trigger("fanout_fanin")
    lines = (tmp_path / "pipelines-output/fan_out_fan_in.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "country,reports"
    by_country = {country: int(count) for country, count in (line.split(",") for line in lines[1:])}
    await all_at_work.trigger("io_plus_cpu")
    text = (tmp_path / "pipelines-output/io_plus_cpu.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert sum(by_country.values()) == len(rows) > 100
    assert {row["country"] for row in rows} == by_country.keys()


async def test_a_resource_of_the_application_is_shared_by_its_runs(
    all_at_work: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    first = await all_at_work.trigger("own_resource")
    second = await all_at_work.trigger("own_resource")
    assert capsys.readouterr().out.splitlines() == [
        f"notes of run {first.id}: time 1 in this process",
        f"notes of run {second.id}: time 2 in this process",
    ]


async def test_a_flow_that_emits_fails_clearly_in_an_application_without_its_sink(
    all_at_work: Running,
) -> None:
    ended = [await all_at_work.trigger(name) for name in ("produce_intents", "emit_models")]
    assert [run.status for run in ended] == [RunStatus.FAILED] * 2
    assert "no sink is registered as 'print'" in ended[0].error_msg
    assert "no sink is registered as 'typed'" in ended[1].error_msg


async def test_rows_that_sql_inserts_make_flows_run(all_at_work: Running) -> None:
    soon = await all_at_work.app.service.call(lambda plane: plane.now())
    all_at_work.sql(
        f"""
        INSERT INTO scheduled_job(job_id, schedule_type, schedule_expr, enabled, version)
        VALUES ("daily_job", "cron", '{{"hour": 2, "minute": 30}}', 1, 1);
        INSERT INTO scheduled_job(job_id, schedule_type, schedule_expr, enabled, version)
        VALUES ("fast_job", "interval", '{{"seconds": 1}}', 1, 1);
        INSERT INTO scheduled_job(job_id, schedule_type, schedule_expr, enabled, version)
        VALUES ("one_shot", "date", '{{"run_date": "{soon:%Y-%m-%d %H:%M:%S}"}}', 1, 1);
        """
    )

    async def a_second_apart() -> bool:
        """A fire that comes due while the machine stands still is one with the next."""
        fires = [run.scheduled_time for run in await all_at_work.runs("fast_job", [RunStatus.SUCCESS])]
        assert all(
            (later - fire) % timedelta(seconds=1) == timedelta(0) for fire, later in itertools.pairwise(fires)
        )
        return any(later - fire == timedelta(seconds=1) for fire, later in itertools.pairwise(fires))

    await eventually(a_second_apart)
    (once,) = await all_at_work.at_least(1, "one_shot", RunStatus.SUCCESS)
    assert once.scheduled_time == soon.replace(microsecond=0)
    all_at_work.sql("DELETE FROM scheduled_job WHERE job_id = 'fast_job'")
    rows = await all_at_work.app.service.call(lambda plane: plane.store.schedules())
    assert {row.flow for row in rows} == {"daily_job", "one_shot"}
    assert await all_at_work.runs("daily_job") == []


async def test_parameters_change_with_their_row(
    all_at_work: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    await all_at_work.trigger("sweep_cfg")
    all_at_work.sql(
        """
        INSERT INTO job_config(job_id, schema_version, config_json, version)
        VALUES ("sweep_cfg", 1, '{"concurrency": 200, "timeout_s": 60}', 1);
        """
    )

    async def seen() -> bool:
        return bool(await all_at_work.app.service.call(lambda plane: plane.store.params("sweep_cfg")))

    await eventually(seen)
    await all_at_work.trigger("sweep_cfg")
    await all_at_work.trigger("sweep_cfg", params={"concurrency": 7})
    said = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert said == [
        "concurrency 50, timeout 10 s",
        "concurrency 200, timeout 60 s",
        "concurrency 7, timeout 60 s",
    ]


async def test_orders_of_hours_that_were_missed_are_copied_once_each(
    flows: Registry[Flow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with running(unscheduled(flows, "sync_orders"), tmp_path) as app:
        first, *_ = await app.at_least(1, "sync_orders", RunStatus.SUCCESS)
        assert first.window is not None
        back, end = first.window.start - timedelta(hours=3), first.window.end
        app.sql(f"UPDATE scheduled_job SET last_data_time = '{back:%Y-%m-%d %H:%M:%S.%f}'")

        async def caught_up() -> list[Window]:
            """The windows that were missed; another one may end meanwhile."""
            later = [run for run in await app.runs("sync_orders", [RunStatus.SUCCESS]) if run.id > first.id]
            found = [run.window for run in later if run.window is not None and run.window.end <= end]
            return found if len(found) >= 4 else []

        covered = sorted(await eventually(caught_up))
    assert covered[0].start == back
    assert [one.end for one in covered[:-1]] == [one.start for one in covered[1:]]
    files = sorted((tmp_path / "pipelines-output/sync_orders").iterdir())
    files = [file for file in files if file.stem <= f"orders-{first.window.start:%Y%m%dT%H%M%S}"]
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    whole = Window(covered[0].start, covered[-1].end)
    assert [row["number"] for row in rows] == [one.number for one in sync_orders.changed_orders(whole)]


async def test_the_producer_waits_for_consumers_that_are_slower() -> None:
    produced, taken, ahead = 0, 0, 0

    def numbers() -> Iterator[int]:
        nonlocal produced, ahead
        for number in range(3000):
            produced += 1
            ahead = max(ahead, produced - taken)
            yield number

    async def consume(number: int) -> int:
        nonlocal taken
        taken += 1
        return await producer_consumer.consume(number)

    capacity = producer_consumer.CAPACITY
    report = await producer_consumer.producer_consumer(numbers, consume).run(capacity=capacity)
    assert (report.items, taken) == (3000, 3000)
    assert capacity < ahead <= 2 * capacity + producer_consumer.CONSUMERS  # the channel, and a list in hand
    assert report.bottleneck == "consume"
