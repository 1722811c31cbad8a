"""schemathesis asks the whole API of a real application on a real database, from its description, and finds nothing."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from piko_flow import BackfillPolicy, Cron, Flow, Registry, RunContext
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.ops.door import doorkeeper
from piko_flow.store.ops_records import Role
from piko_flow.store.records import DeadLetterRecord
from tests.architecture.checkout import ROOT
from tests.system.doors import Served, served

EXAMPLES = (
    3  # requests of each operation that are made up at random, besides those at the bounds of each field
)
LONGEST = 540  # seconds on a busy machine for all of it, or for one answer
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 422, 503]
"""  # a rule of the control half may refuse what fits the description: our own check tells the two apart
PROGRAM = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"
SECRET = "hush"
STREAM = "/api/v1/events"  # does not end; tests/system/test_api_events.py listens to it


class OrderParams(BaseModel):
    """Parameters with a secret."""

    region: str = "eu"
    api_token: SecretStr = SecretStr(SECRET)


def flows() -> Registry[Flow]:
    """The flow of the description's examples, and one with another kind of parameters."""
    registry: Registry[Flow] = Registry()

    async def work(run: RunContext[OrderParams]) -> None:
        run.logger.info("worked")

    async def free(run: RunContext) -> None: ...

    Flow.register(
        "sync_orders",
        work,
        params=OrderParams,
        stateful=True,
        backfill=BackfillPolicy.CATCH_UP,
        schedule=Cron("0 * * * *"),
        registry=registry,
    )
    Flow.register("send_mail", free, registry=registry)
    return registry


async def filled(door: Served) -> None:
    """Let there be a run, a dead letter and a version of parameters, so that what the examples name is there."""
    await door.world.trigger("send_mail")

    async def fill(plane: ControlPlane) -> None:
        letter = DeadLetterRecord(
            "sync_orders", 1, "parse", '{"value": {"a": 1}}', "ValueError", "bad", "0000abcd"
        )
        await plane.store.keep_dead_letters([letter])
        await plane.set_params("sync_orders", changes={"region": "us"})

    await door.world.app.ask(fill)


@pytest.mark.timeout(LONGEST + 60)
async def test_schemathesis_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "FAILURES", 100_000)  # else the door answers 429 after some wrong tokens
    async with served(tmp_path, registry=flows(), request_rate=100_000) as door:
        await filled(door)
        header = (await door.token(Role.ADMIN))["authorization"]
        words = ["run", f"{door.address}/api/v1/openapi.json", "--header", f"Authorization: {header}"]
        words += ["--exclude-path", STREAM, "--max-examples", str(EXAMPLES), "--generation-deterministic"]
        words += [
            "--phases",
            "examples,coverage,fuzzing,stateful",
            "--continue-on-failure",
            "--no-shrink",
            "--no-color",
        ]
        words += ["--warnings", "off", "--request-timeout", str(LONGEST)]
        (tmp_path / "schemathesis.toml").write_text(CONFIG)
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        told = {"PYTHONPATH": paths, "SCHEMATHESIS_HOOKS": "tests.system.schema_checks"}
        told["SECRET_OF_A_FLOW"] = SECRET
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, *words),
            cwd=tmp_path,
            env={**os.environ, **told},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(LONGEST):
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        text = out.decode()
        assert process.returncode == 0, text[-6000:]
        assert "39" in text.partition("Tested:")[2][:10], text[-2000:]
        assert "no failures" in text or "No issues found" in text, text[-2000:]
