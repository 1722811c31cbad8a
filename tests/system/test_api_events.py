"""Events over a real connection: of all runs, of a flow, of one run; gone on from; ended with the process."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from piko_flow import Flow, Registry, RunContext
from piko_flow.store.ops_records import Role
from tests.system.doors import served
from tests.system.event_reading import events
from tests.system.running_app import eventually
from tests.system.serving_process import ROOT, started

WAIT = 60  # seconds for anything on a busy machine
MODULE = """
from piko_flow import App, Flow, RunContext

@Flow.register("tick")
async def tick(run: RunContext) -> None: ...

App("shop").run(port=0)
"""


def flows(*names: str) -> Registry[Flow]:
    registry: Registry[Flow] = Registry()

    async def work(run: RunContext) -> None: ...

    for name in names:
        Flow.register(name, work, registry=registry)
    return registry


async def test_a_listener_hears_of_a_run_until_its_end_and_goes_on_from_there(tmp_path: Path) -> None:
    async with served(tmp_path, registry=flows("mail", "idle")) as door, asyncio.timeout(WAIT):
        viewer, operator = await door.token(Role.VIEWER), await door.token(Role.OPERATOR)
        async with door.client() as client:
            async with events(client, **viewer) as heard:
                first = await heard.until("reset")
                await client.post("/api/v1/flows/mail/runs", json={}, headers=operator)
                ended = await heard.until("run_ended")
                assert ended.data["run"]["status"] == "SUCCESS"
            headers = {**viewer, "last-event-id": first.id}
            async with events(client, **headers) as again:
                assert (await again.until("run_ended")) == ended
            async with events(client, **{**headers, "last-event-id": "elsewhere-1"}) as afresh:
                told = await afresh.next()
                assert told is not None
                assert told.name == "reset"


async def test_a_listener_of_a_flow_hears_nothing_of_another(tmp_path: Path) -> None:
    async with served(tmp_path, registry=flows("mail", "idle")) as door, asyncio.timeout(WAIT):
        operator = await door.token(Role.OPERATOR)
        async with door.client() as client, events(client, "/api/v1/events?flow=idle", **operator) as heard:
            await heard.until("reset")
            for flow in ("mail", "idle"):
                await client.post(f"/api/v1/flows/{flow}/runs", json={}, headers=operator)
            ended = await heard.until("run_ended")
            assert ended.data["run"]["flow"] == "idle"


async def test_nobody_without_a_token_hears_anything(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client() as client:
        assert (await client.get("/api/v1/events")).status_code == 401


async def test_one_token_has_a_bounded_number_of_streams(tmp_path: Path) -> None:
    async with served(tmp_path, registry=flows("mail")) as door, asyncio.timeout(WAIT):
        viewer = await door.token(Role.VIEWER)
        opened = []
        async with door.client(limits=httpx.Limits(max_connections=None)) as client:
            for _ in range(100):
                answer = await client.send(
                    client.build_request("GET", "/api/v1/events", headers=viewer), stream=True
                )
                opened.append(answer)
                if answer.status_code != 200:
                    break
            assert opened[-1].status_code == 429
            assert "retry-after" in opened[-1].headers
            for answer in opened:
                await answer.aclose()

            async def room() -> bool:
                async with client.stream("GET", "/api/v1/events", headers=viewer) as once_more:
                    return once_more.status_code == 200

            assert await eventually(room)


async def test_streams_end_when_the_process_drains(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(MODULE)
    with started(["shop.py"], tmp_path) as process:
        process.until_answered("/readyz", 200)
        words = [sys.executable, "-m", "piko_flow.cli.main", "token", "create", "ci", "--role", "viewer"]
        made = await asyncio.to_thread(
            subprocess.run,
            words,
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        token = {"authorization": f"Bearer {made.stdout.strip()}"}
        async with (
            asyncio.timeout(WAIT),
            httpx.AsyncClient(base_url=process.address, timeout=WAIT) as client,
            events(client, **token) as heard,
        ):
            await heard.until("reset")
            process.popen.send_signal(signal.SIGTERM)
            assert await heard.next() is None
        assert await asyncio.to_thread(process.wait) == 0
    assert "Traceback" not in process.said
    assert "timeout graceful shutdown" not in process.said
