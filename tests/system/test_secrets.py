"""Secrets of runs that fail are nowhere: not in the database, the answers of the API, the pages, the log, the audit."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr

from piko_flow import Flow, Pipeline, Registry, Sink, Source, Transform
from piko_flow.control.flows.run_context import RunContext
from piko_flow.store.ops_records import Role
from piko_flow.telemetry.logs import JsonLines, TextLines
from tests.system.doors import Served, served
from tests.system.running_app import eventually

TOKEN = 'swordfish "one"\nswordfish two'
SECRETS = ("swordfish", "pa55word")


class Params(BaseModel):
    token: SecretStr = SecretStr(TOKEN)


def told(run: RunContext[Params]) -> str:
    """A message as users write them."""
    token = run.params.token.get_secret_value()
    return f"login with {token} ({token!r}) at mysql://u:pa55word@h/d"


async def raises(run: RunContext[Params]) -> None:
    try:
        raise OSError(told(run))
    except OSError as error:
        logging.getLogger("some.library").exception("%s", told(run))
        raise ValueError(told(run)) from error


def refuses(run: RunContext[Params]) -> Pipeline:
    def refuse(item: Any) -> Any:
        raise ValueError(told(run))

    return Source([1, 2]) >> Transform(refuse, name="check", on_error="dead_letter") >> Sink(str)


def cannot_be_built(run: RunContext[Params]) -> Pipeline:
    raise ValueError(told(run))


def flows() -> Registry[Flow]:
    registry: Registry[Flow] = Registry()
    for function in (raises, refuses, cannot_be_built):
        Flow.register(function.__name__, function, params=Params, registry=registry)
    return registry


async def read(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return answer.text


def kept_in(folder: Path) -> str:
    return "\n".join(file.read_bytes().decode("latin-1") for file in folder.iterdir() if file.is_file())


async def answers(place: Served, runs: list[int]) -> dict[str, str]:
    """What the API and the console tell of runs that have failed, by path."""
    numbers = [f"/runs/{run}" for run in runs]
    paths = ["/runs", "/dead-letters", *numbers, "/dead-letters/1", "/audit"]
    of_flows = [f"/flows/{name}" for name in flows()]
    pages = ["/", *paths, *of_flows, *(f"/parts{path}?after=0" for path in numbers)]
    api = ["/schedules", *paths, *(f"{path}/{part}" for path in numbers for part in ("log", "explanation"))]
    api += [*of_flows, *(f"{path}/{part}" for path in of_flows for part in ("params", "explanation"))]
    found = {}
    async with place.client(headers=await place.token(Role.ADMIN)) as client:
        for path in [f"/api/v1{path}" for path in api]:
            found[path] = await read(client, path)
    async with place.browser() as browser:
        for path in pages:
            found[path] = await read(browser, path)
    return found


@pytest.fixture
def log() -> Any:
    """What the handlers of an application write, at DEBUG, as text and as JSON."""
    out, handlers, root = io.StringIO(), [], logging.getLogger()
    for lines in (TextLines(), JsonLines()):
        handlers.append(logging.StreamHandler(out))
        handlers[-1].setFormatter(lines)
        root.addHandler(handlers[-1])
    level = logging.getLogger("piko_flow").level
    logging.getLogger("piko_flow").setLevel("DEBUG")
    yield out
    logging.getLogger("piko_flow").setLevel(level)
    for handler in handlers:
        root.removeHandler(handler)


async def test_no_secret_of_a_failed_run_is_told_anywhere(tmp_path: Path, log: io.StringIO) -> None:
    async with served(tmp_path, registry=flows()) as place:
        runs = [(await place.world.trigger(name)).id for name in flows()]
        await eventually(lambda: place.world.app.ask(lambda plane: plane.store.reports(runs[0])))
        await eventually(lambda: place.world.app.ask(lambda plane: plane.store.reports(runs[2])))
        await eventually(lambda: place.world.app.ask(lambda plane: plane.store.log(runs[0])))
        found = await answers(place, runs)
        found["the database"] = kept_in(tmp_path)
    found["the log"] = log.getvalue()
    assert {where for where, text in found.items() for secret in SECRETS if secret in text} == set()
    for where in (
        f"/api/v1/runs/{runs[0]}",
        f"/runs/{runs[0]}",
        "/dead-letters/1",
        "the database",
        "the log",
    ):
        assert "login with" in found[where], where
