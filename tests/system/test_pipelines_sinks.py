"""The flows of the folder `pipelines` that emit, with the sinks of their modules; also over the death of the process."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from piko_flow import App, Flow, Registry, Settings
from piko_flow.connectors.spool import NotKept, Spooled
from piko_flow.errors import PipelineError
from piko_flow.planning.run_state import RunStatus
from pipelines import durable_writing, typed_sink
from tests.system.running_app import Running, eventually
from tests.system.serving_process import PATIENCE, ROOT

KEYS = [str(number) for number in range(durable_writing.ITEMS)]
DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.system import test_pipelines_sinks as here
from pipelines import durable_writing

class Away:
    def __init__(self):
        self.asked = asyncio.Event()

    async def write(self, items):
        self.asked.set()
        await asyncio.Event().wait()

async def main():
    away = Away()
    sink = durable_writing.durable(away)
    async with here.emitting("print", sink, durable_writing.produce_intents, Path(sys.argv[1])) as app:
        print((await app.trigger("produce_intents")).status, flush=True)
        await away.asked.wait()
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@asynccontextmanager
async def emitting(
    name: str, sink: Any, flow: Flow[Any], folder: Path, **options: Any
) -> AsyncIterator[Running]:
    """An application with one flow and one sink, on files of this folder."""
    registry: Registry[Flow] = Registry()
    registry.add(flow)
    database = folder / "piko.db"
    settings = Settings(
        database=SecretStr(f"sqlite:///{database}"),
        persist_disk_fallback_path=str(folder / "spools"),
        poll_s=0.05,
        drain_s=5,
    )
    app = App("test", registry=registry, settings=settings)
    app.register_sink(name, sink, **options)
    async with app.running():
        yield Running(app, database)


async def said(ask: Callable[[], str], lines: int) -> list[str]:
    """The lines that were said, as soon as there are so many."""
    text = ""

    async def enough() -> list[str]:
        nonlocal text
        text += ask()
        found = text.splitlines()
        return found if len(found) >= lines else []

    return await eventually(enough)


def keys(lines: list[str]) -> list[str]:
    return [line.split()[1] for line in lines if line.startswith("[SINK] ")]


async def test_what_a_flow_emits_is_written_in_lists_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes: list[int] = []

    class Counting(durable_writing.PrintSink):
        async def write(self, items: Any) -> None:
            sizes.append(len(items))
            await super().write(items)

    sink = durable_writing.durable(Counting())
    async with emitting("print", sink, durable_writing.produce_intents, tmp_path) as app:
        assert (await app.trigger("produce_intents")).status is RunStatus.SUCCESS
        lines = await said(lambda: capsys.readouterr().out, len(KEYS))
    assert lines[7] == "[SINK] 7 {'i': 7}"
    assert keys(lines) == KEYS
    assert sum(sizes) == len(KEYS)
    assert max(sizes) <= 100


async def test_what_a_killed_process_had_accepted_is_written_by_the_next_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", DIES, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        cwd=ROOT,
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    assert dead.stdout.strip() == RunStatus.SUCCESS
    sink = durable_writing.durable(durable_writing.PrintSink())
    async with emitting("print", sink, durable_writing.produce_intents, tmp_path):
        lines = await said(lambda: capsys.readouterr().out, len(KEYS))
    assert keys(lines) == KEYS


async def test_each_model_is_written_in_the_way_of_its_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models: list[type[BaseModel]] = [typed_sink.User, typed_sink.Order]
    async with emitting("typed", typed_sink.by_class, typed_sink.emit_models, tmp_path, models=models) as app:
        assert (await app.trigger("emit_models")).status is RunStatus.SUCCESS
        with pytest.raises(NotKept, match="Spooled"):
            await app.app.emit(Spooled({}, "1"), to="typed")
    lines = capsys.readouterr().out.splitlines()
    users = [name for line in lines if line.startswith("users: ") for name in line[7:].split(", ")]
    orders = [line.split() for line in lines if line.startswith("orders: ")]
    assert users == ["alice", "bob"]
    assert sum(int(count) for _, count, _, _ in orders) == 2
    assert sum(float(amount) for _, _, _, amount in orders) == pytest.approx(30.0)
    assert len(lines) == len(orders) + len([line for line in lines if line.startswith("users: ")])


def test_the_same_route_ends_a_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    assert typed_sink.pipeline.run_sync().outcome == "succeeded"
    assert sorted(capsys.readouterr().out.splitlines()) == ["orders: 2 of 30.00", "users: alice, bob"]


def test_a_class_without_a_branch_is_refused_where_the_sink_is_registered() -> None:
    with pytest.raises(PipelineError, match="no branch takes Spooled"):
        App("other", registry=Registry()).register_sink(
            "typed", typed_sink.by_class, models=[typed_sink.User, Spooled]
        )


@pytest.mark.parametrize(("module", "sink"), [(durable_writing, "print"), (typed_sink, "typed")])
def test_the_module_has_an_application_with_its_sink(module: Any, sink: str) -> None:
    with pytest.raises(PipelineError, match=f"register_sink\\('{sink}'\\).*it is registered already"):
        module.app.register_sink(sink, durable_writing.PrintSink())
