"""What Flow.register refuses, at import, with one message that names the flow and the line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, cast

import pytest
from pydantic import BaseModel

from piko_flow import Retry, Sink, Source, Transform
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.dataflow.stages.stage import Pipeline
from piko_flow.errors import FlowError
from piko_flow.planning.cron import Cron
from tests.unit.composing import Order


class Params(BaseModel):
    limit: int = 3


class Other(BaseModel):
    name: str = ""


@asynccontextmanager
async def client() -> AsyncIterator[str]:
    yield "a client"


class Acquires:
    def acquire(self, info: object) -> Any:
        return client()


async def job(run: RunContext) -> None: ...
async def job_with_client(run: RunContext, client: str) -> None: ...
async def job_of_params(run: RunContext[Params]) -> None: ...
async def job_of_number(run: int) -> None: ...
async def job_of_nothing() -> None: ...
async def agen(run: RunContext) -> AsyncIterator[int]:
    yield 1


def gen(run: RunContext) -> Iterator[int]:
    yield 1


def build(run: RunContext) -> Pipeline:
    return Source([1]) >> Sink(print)


def plain(run: RunContext) -> None: ...
def source_only(run: RunContext) -> Source[int]:
    return Source([1])


def pipeline() -> Pipeline:
    return Source([1]) >> Sink(print)


SCHEDULED = {"schedule": Cron("0 * * * *")}
TARGETS: list[tuple[Any, dict[str, Any], str]] = [
    (3, {}, "a flow is a closed pipeline, .*; got int 3"),
    (Source([1]), {}, r"got Source 'list' \(.*\): it has no sink. Add >> Sink"),
    (Transform(str) >> Sink(print), {}, "it has no source. Put a Source before it"),
    (Order, {}, "got the class Order"),
    (gen, {}, "got the generator function gen. Read it in a pipeline: Source\\(gen\\)"),
    (agen, {}, "got the generator function agen"),
    (plain, {}, "plain returns None. Return source >> ... >> sink, or write it with async def"),
    (source_only, {}, "source_only returns Source"),
    (job_of_number, {}, "the first parameter of job_of_number is the run; it is annotated as int"),
    (job_of_nothing, {}, r"job_of_nothing is called with the run; .* Write job_of_nothing\(run\)"),
    (job_with_client, {}, "nothing fills its parameter client. Name it in resources="),
    (job, {"resources": {"client": client}}, r"'client' is not \(it has: none besides the run\)"),
    (job_with_client, {"resources": {"cleint": client}}, r"'cleint' is not \(it has: client\)"),
    (
        job_with_client,
        {"resources": {"client": 3}},
        r"resources\['client'\] is an async context manager .*; got int 3",
    ),
    (
        job_with_client,
        {"resources": {"client": Acquires}},
        r"got the class Acquires. Make one: Acquires\(\)",
    ),
    (
        build,
        {"resources": {"client": client}},
        "resources are opened for async def jobs; .*Name them in uses=",
    ),
    (pipeline(), {"resources": {"client": client}}, "resources are opened for async def jobs"),
    (job, {"params": {"limit": 3}}, r"params is a Pydantic model class.*; got dict"),
    (job, {"params": Params()}, "got an instance of Params. Write params=Params"),
    (job, {"params": int}, "params is a Pydantic model class.*; got the class int"),
    (pipeline(), {"params": Params}, "a fixed pipeline sees no params"),
    (
        job_of_params,
        {},
        r"job_of_params takes RunContext\[Params\] and there is no params=. Write params=Params",
    ),
    (job_of_params, {"params": Other}, r"takes RunContext\[Params\] and params is Other"),
]


@pytest.mark.parametrize(("target", "options", "told"), TARGETS, ids=[told[:40] for _, _, told in TARGETS])
def test_what_cannot_be_a_flow_is_refused(target: Any, options: dict[str, Any], told: str) -> None:
    registry: Registry[Flow] = Registry()
    register = cast(Any, Flow.register)
    with pytest.raises(FlowError, match=told) as caught:
        register("orders", target, registry=registry, **options)
    assert str(caught.value).startswith("flow 'orders' (tests/unit/test_flow_refusals.py:")
    assert len(registry) == 0


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"statful": True}, r"got statful=. Did you mean stateful=\?"),
    ({"stateful": "yes"}, "stateful is True or False; got 'yes'"),
    ({"backfill": "skip"}, "backfill is for flows with windows; got backfill=. Add stateful=True"),
    ({"after": "other"}, "after is for flows with windows"),
    ({"strict_order": True}, "strict_order is for flows with windows"),
    ({"begin": datetime(2026, 1, 1)}, "begin is for flows with windows"),
    ({"stateful": True, "begin": datetime(2026, 1, 1)}, "begin is an aware datetime; got datetime"),
    ({"stateful": True, "backfill": "all"}, "backfill is BackfillPolicy.CATCH_UP, SKIP or NONE; got 'all'"),
    ({"stateful": True, "after": "orders"}, "a flow does not wait for itself"),
    ({"stateful": True, "after": 3}, "after is the name of a flow; got int 3"),
    ({"schedule": "0 * * * *"}, r"schedule is a trigger; got str '0 \* \* \* \*'. Write schedule=Cron"),
    ({"retry": 0}, "retry is a Retry, or how many attempts there are at most; got 0"),
    ({"retry": True}, "retry is a Retry"),
    ({"timeout": 0}, "timeout is a number of seconds or a timedelta above 0; got 0"),
    ({"timeout": 1e9}, "timeout is at most 100,000,000 seconds"),
    ({"tags": "daily"}, "tags is a list of texts; got 'daily'"),
    ({"tags": [1]}, "a tag is text; got 1"),
    ({"execute": "some"}, 'execute is "all" or "leader"; got \'some\''),
    ({"schema_version": "2"}, "schema_version is a whole number"),
    (
        {"max_instances": 2},
        r"max_instances is written into the row that schedule= makes; .*without schedule=",
    ),
    ({"misfire_grace": 5}, "misfire_grace is written into the row"),
    ({"max_instances": 0} | SCHEDULED, "max_instances is a whole number of at least 1; got 0"),
    ({"misfire_grace": 0.5} | SCHEDULED, "misfire_grace is a whole number of seconds; got 0.5"),
    ({"misfire_grace": -1} | SCHEDULED, "misfire_grace is a number of seconds or a timedelta of at least 0"),
    ({"coalesce": "no"} | SCHEDULED, "coalesce is True or False"),
    ({"concurrency_group": "g" * 65} | SCHEDULED, "concurrency_group is a name of at most 64"),
    ({"max_lookback_window": -1} | SCHEDULED, "max_lookback_window is a whole number of at least 0"),
    ({"max_errors": 1.5}, "max_errors as a share lies between 0.0 and 1.0; got 1.5"),
    ({"capacity": 0}, "capacity must be a whole number of at least 1"),
    ({"validate": 1}, "validate must be True or False"),
    ({"engine": "ray"}, "engine must have the methods of Engine"),
    ({"registry": {}}, r"registry is a Registry; got dict \{\}"),
]


@pytest.mark.parametrize(("options", "told"), OPTIONS, ids=[told[:40] for _, told in OPTIONS])
@pytest.mark.parametrize("decorating", [False, True], ids=["called", "decorating"])
def test_an_option_is_refused_where_the_flow_is_registered(
    options: dict[str, Any], told: str, decorating: bool
) -> None:
    register: Callable[..., Any] = Flow.register
    given = {"registry": Registry(), **options}
    with pytest.raises(FlowError, match=told) as caught:
        register("orders", *([] if decorating else [pipeline()]), **given)
    assert str(caught.value).startswith("flow 'orders' (tests/unit/test_flow_refusals.py:")


NAMES: list[tuple[Any, str]] = [
    ("", "of length 0"),
    ("n" * 129, "of length 129"),
    ("a\nb", "printable characters"),
    ("a/b", "without /"),
    (" a", "ends without a blank"),
    ("-a", "begins with a letter or digit"),
    ("piko_system_settings", "is the row of the system's own settings"),
    (3, r'got int 3. Write Flow.register\("name"'),
    (pipeline, r'got .* Write Flow.register\("name"'),
]


@pytest.mark.parametrize(("name", "told"), NAMES)
def test_a_name_that_the_tables_or_commands_cannot_take_is_refused(name: Any, told: str) -> None:
    with pytest.raises(FlowError, match=told):
        Flow.register(name, pipeline(), registry=Registry())


@pytest.mark.parametrize("name", ["sync_orders", "Kunden täglich", "订单.同步", "a:b#1", "n" * 128])
def test_names_in_any_script_are_taken(name: str) -> None:
    assert Flow.register(name, pipeline(), registry=Registry()).name == name


def test_a_retry_of_ones_own_is_kept() -> None:
    retry = Retry(attempts=2, on=OSError)
    assert Flow.register("r", pipeline(), retry=retry, registry=Registry()).retry is retry
