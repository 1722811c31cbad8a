"""The options of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from typing_extensions import TypedDict

from piko_flow.dataflow.commit.commit import CheckClaim, Journal, unclaimed
from piko_flow.dataflow.commit.last_transaction import LastTransaction
from piko_flow.dataflow.plan.plan_options import Capacity, PlanOptions, refuse_option
from piko_flow.dataflow.reports.observer import Observer
from piko_flow.dataflow.running.engine import Engine
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.resource_host import ResourcePool
from piko_flow.dataflow.workers.pool import WorkerPool
from piko_flow.known_names import did_you_mean

LONGEST_NAME = 100
NAME = re.compile(rf"[A-Za-z0-9._:-]{{1,{LONGEST_NAME}}}")


class RunValues(TypedDict, total=False):
    """The options of `run`, `start` and `run_sync` as users give them."""

    max_errors: int | float | None
    capacity: int | Capacity
    validate: bool
    engine: Engine | None
    pool: WorkerPool | None
    resources: ResourcePool | None
    observer: Observer | None
    journal: Journal | None
    run_id: str | None
    since: Any
    teardown: float | timedelta


@dataclass(frozen=True)
class RunOptions:
    """The options of a run, checked.

    `plan`: those that decide how it is planned. `engine`: where units run. `pool`: worker processes shared
    with other runs. `resources`: those of scope "app". `journal`: where receipts and decisions are kept, so
    that the run `run_id` can be resumed.

    What an application adds for a run of a flow: `info` tells what the run is, `claim` raises before a commit if
    the run is no longer this process's, `last` takes the commits of sinks that join the run's last transaction.
    """

    plan: PlanOptions = field(default_factory=PlanOptions)
    engine: Engine | None = None
    pool: WorkerPool | None = None
    resources: ResourcePool | None = None
    observer: Observer | None = None
    journal: Journal | None = None
    run_id: str | None = None
    info: RunInfo | None = None
    claim: CheckClaim = unclaimed
    last: LastTransaction | None = None


def run_options(values: RunValues) -> RunOptions:
    """The options as given, checked. Raises PipelineError for a bad value and for an unknown name."""
    known = list(RunValues.__annotations__)
    for option in values:
        if option not in known:
            advice = did_you_mean(option, known)
            refuse_option(f"an option of a run is one of {', '.join(known)}", f"got {option}=", advice)
    given: dict[str, Any] = dict(values)
    capacity = given.get("capacity", Capacity())
    given["capacity"] = capacity if isinstance(capacity, Capacity) else Capacity(items=capacity)
    if isinstance(given.get("teardown"), timedelta):
        given["teardown"] = given["teardown"].total_seconds()
    _check_objects(given)
    _check_name(given.get("run_id"))
    planned = {each.name: given.pop(each.name) for each in fields(PlanOptions) if each.name in given}
    return RunOptions(PlanOptions(**planned), **given)


def _check_objects(given: dict[str, Any]) -> None:
    """Refuse what is not the object that an option asks for."""
    if not isinstance(given.get("validate", False), bool):
        refuse_option("validate must be True or False", f"got {given['validate']!r:.80}")
    for option, kind in (("pool", WorkerPool), ("resources", ResourcePool)):
        value = given.get(option)
        if value is not None and not isinstance(value, kind):
            refuse_option(f"{option} must be a {kind.__name__}", f"got {value!r:.80}")
    for option, protocol in (("engine", Engine), ("observer", Observer), ("journal", Journal)):
        value = given.get(option)
        if value is None:
            continue
        if isinstance(value, type):
            advice = f"Make one: {option}={value.__name__}()"
            refuse_option(
                f"{option} must be an object of a class", f"got the class {value.__qualname__}", advice
            )
        methods = [name for name in vars(protocol) if not name.startswith("_")]
        missing = [name for name in methods if not callable(getattr(value, name, None))]
        if missing:
            rule = f"{option} must have the methods of {protocol.__name__}"
            refuse_option(rule, f"{value!r:.80} has no {', '.join(missing)}")


def _check_name(run_id: object) -> None:
    if run_id is None or (isinstance(run_id, str) and NAME.fullmatch(run_id)):
        return
    rule = f"run_id is a name of at most {LONGEST_NAME} letters, digits and . _ : - (sinks make file names of it)"
    refuse_option(rule, f"got {run_id!r:.120}")
