"""Flows that both checkers accept, with the types that they infer."""

from collections.abc import Callable
from typing import Any, assert_type

from pydantic import BaseModel

from piko_flow import Pipeline, Sink, Source
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.planning.cron import Cron
from piko_flow.planning.window import BackfillPolicy, Window
from tests.typing.parts import client, numbers, print_number


class Params(BaseModel):
    limit: int = 1


pipeline = Source(numbers) >> Sink(print_number)
registry: Registry[Flow] = Registry()

assert_type(Flow.register("value", pipeline), Flow[Pipeline])
Flow.register("value", pipeline, registry=registry, max_errors=3, capacity=5)
Flow.register("value", pipeline, registry=Registry())


@Flow.register(
    "builder", params=Params, stateful=True, backfill=BackfillPolicy.CATCH_UP, schedule=Cron("0 * * * *")
)
def builder(run: RunContext[Params]) -> Pipeline:
    assert_type(run.params, Params)
    assert_type(run.params.limit, int)
    return Source(range(run.params.limit)) >> Sink(print_number)


assert_type(builder, Flow[Callable[[RunContext[Params]], Pipeline]])


@Flow.register("bare")
def bare(run: RunContext) -> Pipeline:
    return pipeline


@Flow.register("dictionary")
async def dictionary(run: RunContext[dict[str, Any]]) -> None:
    assert_type(run.params, dict[str, Any])


@Flow.register("job", params=Params, resources={"client": client}, retry=3, timeout=5)
async def job(run: RunContext[Params], client: str) -> int:
    window: Window = run.window
    print(window.start, run.window.end)
    return run.params.limit


@Flow.register("wider", params=Params)
async def wider(run: RunContext[BaseModel]) -> None: ...


async def plain(run: RunContext[Params]) -> None: ...
def build(run: RunContext[Params]) -> Pipeline:
    return pipeline


registered = Flow.register("plain", plain, params=Params)
assert_type(Flow.register("build", build, params=Params), Flow[Callable[[RunContext[Params]], Pipeline]])
assert_type(registry["value"], Flow)


async def called() -> None:
    run = RunContext.for_test(Params())
    assert_type(run.params, Params)
    assert_type(await job(run, client="x"), int)
    assert_type(builder(run), Pipeline)
    assert_type(await registered(run), None)
    assert_type(RunContext.for_test().params, dict[str, Any])
    assert_type(await run.cpu.submit(max, 1, 2), int)
    assert_type(await run.cpu.map(str, [1, 2], concurrency=2), list[str])
    await run.emit({"a": 1}, to="store", key="k")
    await run.check_claim()
