"""What a run with a secret param tells of its errors, in its message, its log and the letters of what it emits."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from piko_flow import Sink
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.runs.emitting import Writer
from piko_flow.url_passwords import HIDDEN
from tests.unit.dead_letter_worlds import World


class Params(BaseModel):
    token: SecretStr = SecretStr('hu"nt2')


@pytest.fixture
def world() -> World:
    return World()


async def _job(run: RunContext[Params]) -> None:
    raise ValueError(f"login with {run.params.token.get_secret_value()} at mysql://u:pw1@h/d")


async def test_an_error_of_a_job_tells_no_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        outcome = await world.run(world.register(_job, params=Params))
    assert outcome.error_msg.startswith(f"ValueError: login with {HIDDEN} at mysql://u:{HIDDEN}@h/d")
    formatted = logging.Formatter()
    told = "\n".join(formatted.format(record) for record in caplog.records)
    assert "in _job" in told
    assert 'hu"nt' not in told
    assert "pw1" not in told


async def test_a_dead_letter_of_what_was_emitted_tells_no_secret(world: World) -> None:
    def refuse(item: Any) -> None:
        raise ValueError(f"no {item}")

    async def emits(run: RunContext[Params]) -> None:
        await run.emit(run.params.token.get_secret_value(), to="files")

    writer = Writer()
    writer.register("files", Sink(refuse, on_error="dead_letter"))
    writer.keep = world.store.keep_dead_letters
    world.with_tools(writer=writer)
    async with writer:
        await world.run(world.register(emits, params=Params))
    [letter] = await world.letters()
    assert letter.error_msg == f"ValueError: no {HIDDEN}"
