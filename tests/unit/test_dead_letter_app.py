"""Dead letters of an application: of stages and of registered sinks, replayed by the application that comes after."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel
from typer.testing import CliRunner

from piko_flow import App, Flow, Pipeline, RunContext, Sink, Source, Transform
from piko_flow.cli.main import app as piko_flow_command
from piko_flow.control.flows.registry import Registry
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.planning.run_state import LIVE, RunStatus
from piko_flow.settings import Settings
from piko_flow.store.records import DeadLetterRecord, RunRecord

PATIENCE = 60.0  # seconds for anything on a busy machine
EVERY = 0.05  # seconds between two looks


class Order(BaseModel):
    number: int
    pin: str = "471147"


class Shop:
    """Applications over one database, one after the other; `mended` ones refuse nothing."""

    def __init__(self, database: str) -> None:
        self.settings = Settings(database=database, poll_s=0.1, redact=("pin",), cpu_workers=1)
        self.written: list[int] = []
        self.mended = False

    def app(self) -> App:
        registry: Registry[Flow] = Registry()
        check = Transform(self.check, name="check", on_error="dead_letter")
        Flow.register("numbers", Source(range(6)) >> check >> Sink(self.written.append), registry=registry)
        Flow.register("emits", self.emits, registry=registry)
        app = App(registry=registry, settings=self.settings)
        app.register_sink("orders", Sink(self.take, name="take", on_error="dead_letter"))
        return app

    def check(self, number: int) -> int:
        if not self.mended and number % 2:
            raise ValueError("odd")
        return number

    async def emits(self, run: RunContext) -> None:
        for number in range(3):
            await run.emit(number, to="orders", key=str(number))

    def take(self, number: int) -> None:
        self.written.append(self.check(number) + 100)


async def ended(app: App, ask: Callable[[ControlPlane], Awaitable[RunRecord]]) -> RunRecord:
    """The run that was asked for, when it has ended."""
    number = (await app.service.call(ask)).id
    async with asyncio.timeout(PATIENCE):
        while True:
            run = (await app.service.call(lambda plane: plane.run(number))).run
            if run.status not in LIVE:
                return run
            await asyncio.sleep(EVERY)


async def replayed(app: App, flow: str) -> RunRecord:
    """The one replay of all open letters of the flow, when it has ended."""

    async def ask(plane: ControlPlane) -> RunRecord:
        [run] = (await plane.replay(WhichLetters(flow=flow))).runs
        return run

    return await ended(app, ask)


async def letters(app: App) -> list[DeadLetterRecord]:
    return list((await app.service.call(lambda plane: plane.dead_letters(state=None))).letters)


async def test_the_next_application_replays_what_the_first_one_could_not_do(database_url: str) -> None:
    shop = Shop(database_url)
    broken = shop.app()
    async with broken.running():
        for flow in ("numbers", "emits"):
            run = await ended(broken, lambda plane, flow=flow: plane.trigger(flow))  # type: ignore[misc]
            assert run.status is RunStatus.SUCCESS
        assert (await replayed(broken, "numbers")).error_msg == "3 of 3 dead letters failed again"
    assert sorted(shop.written) == [0, 2, 4, 100, 102]
    shop.mended = True
    mended = shop.app()
    async with mended.running():
        for flow in ("numbers", "emits"):
            run = await replayed(mended, flow)
            assert (run.status, run.origin, run.error_msg) == (RunStatus.SUCCESS, "replay", "")
        kept = await letters(mended)
    assert sorted(shop.written) == [0, 1, 2, 3, 4, 5, 100, 101, 102]
    assert {(one.state, one.attempt, one.sink) for one in kept} == {
        ("replayed", 2, ""),
        ("replayed", 1, "orders"),
    }


class Params(BaseModel):
    region: str = ""


async def test_a_letter_has_the_version_of_its_runs_parameters(database_url: str) -> None:
    app = Shop(database_url).app()

    def build(run: RunContext) -> Pipeline:
        def refuse(number: int) -> int:
            raise ValueError(f"{number} is not known in {run.params.region}")

        return Source([1]) >> Transform(refuse, on_error="dead_letter") >> Sink(str)

    Flow.register("regional", build, params=Params, registry=app.registry)
    async with app.running():
        for region in ("eu", "us"):
            values = {"region": region}
            await app.service.call(
                lambda plane, values=values: plane.set_params("regional", values=values)  # type: ignore[misc]
            )
            await ended(app, lambda plane: plane.trigger("regional"))
        found = await letters(app)
        runs = [
            (await app.service.call(lambda plane, number=one.run: plane.run(number))).run  # type: ignore[misc]
            for one in found
        ]
    assert [one.error_msg[-3:] for one in found] == [" us", " eu"]
    assert [one.params_version for one in found] == [run.params_version for run in runs]
    assert len({run.params_version for run in runs} - {None}) == 2


async def test_a_letter_is_shown_with_the_version_that_the_history_of_its_flow_counts(
    database_url: str,
) -> None:
    app = Shop(database_url).app()

    def build(run: RunContext) -> Pipeline:
        return Source([1]) >> Transform(refuse, on_error="dead_letter") >> Sink(str)

    Flow.register("first", build, params=Params, registry=app.registry)
    Flow.register("regional", build, params=Params, registry=app.registry)

    async def both(plane: ControlPlane) -> RunRecord:
        for region in ("eu", "us", "jp"):
            await plane.set_params("first", values={"region": region})
        for region in ("eu", "us"):
            await plane.set_params("regional", values={"region": region})
        return await plane.trigger("regional")

    async with app.running():
        run = await ended(app, both)
        [letter] = await letters(app)
        view = await app.service.call(lambda plane: plane.dead_letter(letter.id))
    assert (run.config_version, letter.params_version) == (2, run.params_version)
    assert letter.params_version != 2, "the number of the row, by which the store finds it"
    assert view.config_version == 2
    which = (str(letter.id), "--database", database_url, "--package", __name__)
    shown = await asyncio.to_thread(asked, "dead-letter", "show", *which)
    assert re.search(r"^params +version 2$", shown, re.MULTILINE)


def refuse(number: int) -> int:
    raise ValueError(f"{number} is not known")


def asked(*words: str) -> str:
    """What a command says that ends well."""
    done = CliRunner().invoke(piko_flow_command, words)
    assert done.exit_code == 0, done.output
    return done.stdout


async def test_the_setting_redacts_fields_of_every_flow(database_url: str) -> None:
    shop = Shop(database_url)
    app = shop.app()

    def refuse(order: Any) -> Any:
        raise ValueError(f"pin {order.pin}")

    pipeline = Source([Order(number=1)]) >> Transform(refuse, on_error="dead_letter") >> Sink(str)
    Flow.register("secret", pipeline, registry=app.registry)
    async with app.running():
        await ended(app, lambda plane: plane.trigger("secret"))
        [letter] = await letters(app)
    assert "471147" not in letter.payload + letter.error_msg + letter.trace
    assert letter.error_msg == "ValueError: pin ******"
