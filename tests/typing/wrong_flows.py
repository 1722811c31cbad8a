"""Flows that the checkers refuse, each on the line that says so; a line may say which checker alone does."""

from collections.abc import Iterator

from pydantic import BaseModel

from piko_flow import Pipeline, Sink, Source
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.run_context import RunContext
from tests.typing.parts import numbers, print_number


class Params(BaseModel):
    limit: int = 1


class Other(BaseModel):
    name: str = ""


pipeline = Source(numbers) >> Sink(print_number)


async def job(run: RunContext[Params]) -> None: ...
async def other(run: RunContext[Other]) -> None: ...
async def no_run() -> None: ...
def nothing(run: RunContext) -> None: ...
def generates(run: RunContext) -> Iterator[int]:
    yield 1


def build(run: RunContext[Params]) -> Pipeline:
    return pipeline


Flow.register("open", Source(numbers))  # wrong
Flow.register("number", 3)  # wrong
Flow.register("job", job)  # wrong
Flow.register("job", other, params=Params)  # wrong
Flow.register("job", no_run)  # wrong
Flow.register("job", nothing)  # wrong
Flow.register("job", generates)  # wrong
Flow.register("job", build, params=Other)  # wrong
Flow.register("job", job, params=int)  # wrong
Flow.register("value", pipeline, statful=True)  # wrong
Flow.register("value", pipeline, stateful="yes")  # wrong
Flow.register("value", pipeline, schedule="0 * * * *")  # wrong
Flow.register("value", pipeline, execute="some")  # wrong
Flow.register("value", pipeline, params=Params)  # wrong


async def called(run: RunContext[Params]) -> None:
    print(run.params.limits)  # wrong
    await run.cpu.submit(len, 3)  # wrong
    await run.cpu.map(len, [1])  # wrong
    await run.emit(1)  # wrong
    Flow.register("build", build, params=Params)(3)  # wrong
