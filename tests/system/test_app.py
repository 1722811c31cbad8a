"""An application by itself, under an ASGI server, and in a program: it schedules, runs flows and answers."""

import asyncio
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from piko_flow import App, Cron, Flow, Interval, Registry, RunContext, Settings
from piko_flow.app import PortTaken, listen
from piko_flow.errors import PipelineError, StoreUnavailable
from tests.system.running_app import eventually, running
from tests.system.serving_process import Process, started

MODULE = """
from piko_flow import App, Flow, Interval, RunContext

@Flow.register("tick", schedule=Interval(seconds=1))
async def tick(run: RunContext) -> None:
    print("ticked", flush=True)

app = App("shop")
api = app.api
if __name__ == "__main__":
    app.run(port=0)
"""
SLOW = """
import asyncio
from pathlib import Path
from piko_flow import App, Flow, Interval, RunContext

@Flow.register("slow", schedule=Interval(seconds=1))
async def slow(run: RunContext) -> None:
    print("begun", flush=True)
    while not Path("go").exists():
        await asyncio.sleep(0.02)
    print("the end", flush=True)

App("slow").run(port=0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(MODULE)
    (tmp_path / "slow.py").write_text(SLOW)
    return tmp_path


def statuses(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "piko.db")) as connection:
        return [row[0] for row in connection.execute("SELECT status FROM job_run ORDER BY run_id")]


def check_probes(process: Process) -> None:
    leading = {"status": "ready", "role": "leader", "problems": []}
    assert process.until_answered("/readyz", 200, leading) == leading  # it stands by until it has the lease
    assert process.get("/livez") == (200, {"status": "ok", "role": "", "problems": []})
    assert process.get("/healthz") == process.get("/livez")
    status, version = process.get("/version")
    assert (status, version["name"]) == (200, "shop")
    assert version["replica"]


def test_an_app_without_any_setting_schedules_on_a_file_and_serves_and_sigterm_ends_it(folder: Path) -> None:
    with started(["shop.py"], folder) as process:
        check_probes(process)
        process.until_said("ticked")
        assert process.stop(signal.SIGTERM) == 0
    assert "SUCCESS" in statuses(folder)
    assert set(statuses(folder)) <= {"SUCCESS", "QUEUED"}
    assert "Traceback" not in process.said


def test_the_lifespan_of_an_asgi_server_schedules_and_drains(folder: Path) -> None:
    command = ["-m", "uvicorn", "shop:app.api", "--port", "0"]
    with started(command, folder) as process:
        check_probes(process)
        process.until_said("ticked")
        process.stop(signal.SIGTERM)
    assert "SUCCESS" in statuses(folder)
    assert "Traceback" not in process.said


def test_a_second_app_on_the_same_file_stands_by(folder: Path) -> None:
    with started(["shop.py"], folder, PIKO_LEADER_LEASE_S="30") as first:
        check_probes(first)
        with started(["shop.py"], folder, PIKO_LEADER_LEASE_S="30") as second:
            assert second.until_answered("/readyz", 200)["status"] == "standby"
            assert first.stop() == 0
            second.until_said("leads in term 2")
            assert second.get("/readyz")[1]["role"] == "leader"


def test_a_drain_lets_a_run_finish_and_answers_meanwhile_that_it_takes_nothing_new(folder: Path) -> None:
    with started(["slow.py"], folder, PIKO_DRAIN_S="60") as process:
        process.get("/livez")
        process.until_said("begun")
        process.popen.send_signal(signal.SIGTERM)
        answer = process.until_answered("/readyz", 503)
        assert answer["role"] == "draining"
        (folder / "go").touch()
        assert process.wait() == 0
    assert "the end" in process.said
    assert statuses(folder)[0] == "SUCCESS"


def test_a_run_that_outlasts_the_drain_goes_back_to_the_queue(folder: Path) -> None:
    with started(["slow.py"], folder, PIKO_DRAIN_S="0.2") as process:
        process.get("/livez")
        process.until_said("begun")
        assert process.stop() == 0
    assert "the end" not in process.said
    assert statuses(folder)[0] == "QUEUED"


def test_a_second_signal_ends_it_without_waiting(folder: Path) -> None:
    with started(["slow.py"], folder, PIKO_DRAIN_S="60") as process:
        process.get("/livez")
        process.until_said("begun")
        process.popen.send_signal(signal.SIGTERM)
        process.until_said("slow drains")  # who stood still may answer 503 before it does
        process.until_answered("/readyz", 503)
        assert process.stop(signal.SIGTERM) != 0
    assert "the end" not in process.said


AGAIN_AT_ONCE = SLOW.replace(
    'App("slow").run(port=0)',
    """
import logging
import os
import signal
from piko_flow.ops import server

class Again(logging.Filter):
    def filter(self, record):
        if record.getMessage().endswith("drains"):
            os.kill(os.getpid(), signal.SIGINT)
        return True

server.AT_ONCE = 0.5
server.log.addFilter(Again())
App("slow").run(port=0)
""",
)


def test_a_second_interrupt_before_the_drain_has_begun_ends_it_too(folder: Path) -> None:
    (folder / "again.py").write_text(AGAIN_AT_ONCE)
    with started(["again.py"], folder, PIKO_DRAIN_S="3600") as process:
        process.get("/livez")
        process.until_said("begun")
        assert process.stop(signal.SIGINT) != 0
    assert "the end" not in process.said


CLEANS_UP = SLOW.replace(
    'App("slow").run(port=0)',
    """
import signal
import threading
from piko_flow.ops import server

server.AT_ONCE = 30
try:
    App("slow").run(port=0)
except KeyboardInterrupt:
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()  # it ends now, or ends the process
    print("cleaned up", signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)
""",
)


def test_what_a_program_does_after_an_interrupt_takes_its_time(folder: Path) -> None:
    (folder / "cleans_up.py").write_text(CLEANS_UP)
    with started(["cleans_up.py"], folder, PIKO_DRAIN_S="60") as process:
        process.get("/livez")
        process.until_said("begun")
        process.popen.send_signal(signal.SIGINT)
        process.until_said("slow drains")  # who stood still may answer 503 before it does
        process.until_answered("/readyz", 503)
        assert process.stop(signal.SIGINT) == 0
    assert "cleaned up True" in process.said


def test_a_taken_port_is_one_message_and_nothing_has_started(folder: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"cannot listen on 127\.0\.0\.1 port {port}.*--port"):
            listen("127.0.0.1", port)
        with started(["-m", "piko_flow.cli.main", "serve", "--port", str(port)], folder) as process:
            assert process.wait() == 1
    assert len(process.lines) <= 3
    assert "Traceback" not in process.said
    assert not (folder / "piko.db").exists()


def test_serving_nothing_warns_and_takes_a_database_and_tells_of_unknown_variables(folder: Path) -> None:
    command = ["-m", "piko_flow.cli.main", "serve", "--port", "0", "--database", "sqlite:///other.db"]
    with started(command, folder, PIKO_NONSENSE="1") as process:
        process.until_answered("/readyz", 200)
        assert process.stop() == 0
    assert "no flow is registered: name a package" in process.said
    assert any(line.startswith("warning: ") and "PIKO_NONSENSE" in line for line in process.lines)
    assert (folder / "other.db").exists()
    assert not (folder / "piko.db").exists()


def test_a_store_that_is_not_there_ends_the_start_unless_it_is_to_be_patient(folder: Path) -> None:
    nowhere = "mysql+asyncmy://piko:hunter2@127.0.0.1:1/piko"
    with started(["shop.py"], folder, PIKO_DATABASE=nowhere) as process:
        assert process.wait() != 0
    assert "hunter2" not in process.said
    with started(["shop.py"], folder, PIKO_DATABASE=nowhere, PIKO_STARTUP_MODE="fail_open") as process:
        answer = process.until_answered("/readyz", 503)
        assert answer["role"] == "starting"
        assert process.get("/livez")[0] == 200
        assert process.stop() == 0
    assert "hunter2" not in process.said


class Rows:
    """A sink that keeps the lists it was given; fails on the word "bad"."""

    def __init__(self) -> None:
        self.lists: list[list[Any]] = []

    async def write(self, items: Sequence[Any]) -> None:
        if "bad" in items:
            raise ValueError("a bad item")
        self.lists.append(list(items))


async def test_what_is_emitted_reaches_the_sink_of_its_name_from_a_run_and_from_outside(
    tmp_path: Path,
) -> None:
    registry: Registry[Flow] = Registry()
    rows = Rows()

    @Flow.register("emits", registry=registry)
    async def emits(run: RunContext) -> None:
        for number in range(3):
            await run.emit(number, to="rows")

    chosen = Settings(database=SecretStr(f"sqlite:///{tmp_path / 'piko.db'}"), poll_s=0.05)
    app = App("emitting", registry=registry, settings=chosen)
    app.register_sink("rows", rows, spool=False)
    with pytest.raises(PipelineError, match="a sink has a name"):
        app.register_sink("", rows)
    with pytest.raises(RuntimeError, match="not running"):
        await app.emit(1, to="rows")
    async with app.running():
        with pytest.raises(RuntimeError, match="before the application starts"):
            app.register_sink("late", rows)
        await app.emit("outside", to="rows")
        assert rows.lists == [["outside"]]
        with pytest.raises(Exception, match="a bad item"):
            await app.emit("bad", to="rows")
        run = await app.service.call(lambda plane: plane.trigger("emits"))

        async def written() -> bool:
            return sum(map(len, rows.lists)) == 4

        await eventually(written)
        found = await app.service.call(lambda plane: plane.store.run(run.id))
        assert found is not None
    assert [item for items in rows.lists for item in items] == ["outside", 0, 1, 2]


async def test_an_app_runs_again_after_it_was_stopped_and_not_twice_at_once(tmp_path: Path) -> None:
    registry: Registry[Flow] = Registry()
    Flow.register("yearly", _nothing, schedule=Cron("0 0 1 1 *"), registry=registry)
    async with running(registry, tmp_path) as first:
        with pytest.raises(RuntimeError, match="running already"):
            async with first.app.running():
                pass
        await first.trigger("yearly")
    async with first.app.running():
        assert first.app.readiness()[0] in ("leader", "standby")
    assert first.app.readiness()[0] == "starting"


async def test_a_store_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    chosen = Settings(database=SecretStr(f"sqlite:///{tmp_path / 'file' / 'piko.db'}"))
    app = App("homeless", registry=Registry(), settings=chosen)
    with pytest.raises(StoreUnavailable):
        async with app.running():
            pass
    with pytest.raises(RuntimeError, match="not running"):
        _ = app.service


async def test_a_flow_that_holds_the_loop_of_runs_costs_no_lease_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry: Registry[Flow] = Registry()
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    @Flow.register("hogs", schedule=Interval(seconds=3600), registry=registry)
    async def hogs(run: RunContext) -> None:
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result()

    quick = {"leader_lease_s": 1.0, "leader_renew_interval_s": 0.3}
    async with running(registry, tmp_path, **quick) as world:
        service = world.app.service
        assert service.watch is not None
        service.watch._after = 0.2
        await service.call(lambda plane: plane.trigger("hogs"))

        async def named() -> bool:
            return "hogs" in service.watch.blocked_by if service.watch is not None else False

        await eventually(named)
        term = (await service.call(lambda plane: plane.store.pulse("default", ""))).lease
        await asyncio.wait_for(_renewed(service, term), 30)
        assert "the loop of runs is held" in world.app.readiness()[1][0]
        released.set()

        async def turns() -> bool:
            return world.app.readiness()[1] == []

        await eventually(turns)
        later = (await service.call(lambda plane: plane.store.pulse("default", ""))).lease
        assert later is not None
        assert term is not None
        assert (later.term, later.holder) == (term.term, term.holder)
    assert "test_app.py" in caplog.text


async def _renewed(service: Any, lease: Any) -> None:
    """Wait until the lease has been renewed beyond the time it had when the loop was held."""

    async def beyond() -> bool:
        found = (await service.call(lambda plane: plane.store.pulse("default", ""))).lease
        return bool(found.until > lease.until)

    await eventually(beyond)


async def _nothing(run: RunContext) -> None:
    """A job that does nothing."""
