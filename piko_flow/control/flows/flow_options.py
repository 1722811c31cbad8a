"""The options of a flow, checked where they are written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, NoReturn

from typing_extensions import TypedDict

from piko_flow.control.flows.registry import Registry, Site
from piko_flow.counting import is_whole
from piko_flow.dataflow.plan.plan_options import Capacity
from piko_flow.dataflow.running.engine import Engine
from piko_flow.dataflow.running.run_options import RunOptions, RunValues, run_options
from piko_flow.dataflow.stages.stage import describe
from piko_flow.dataflow.stages.stage_options import Seconds
from piko_flow.errors import FlowError, PipelineError, ScheduleError
from piko_flow.known_names import did_you_mean
from piko_flow.planning.moment import utc
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.window import BackfillPolicy
from piko_flow.retry import LONGEST_TIME, Retry, seconds

Execute = Literal["all", "leader"]
LONGEST_NAME = 128
LONGEST_GROUP = 64
RESERVED = "piko_system_settings"
RUN_OPTIONS = ("max_errors", "capacity", "validate", "engine", "teardown")
OF_THE_ROW = ("max_instances", "misfire_grace", "coalesce", "concurrency_group", "max_lookback_window")
EXAMPLES = {"tags": "daily", "redact": "card_number"}
NAMED = {"tags": "a tag", "redact": "a name of a field"}
OF_WINDOWS = ("backfill", "after", "strict_order", "begin")


class FlowValues(TypedDict, total=False):
    """The options of `Flow.register` as users give them, besides `params`."""

    schedule: Trigger | None
    stateful: bool
    backfill: BackfillPolicy | str
    retry: Retry | int | None
    timeout: Seconds | None
    tags: Collection[str]
    execute: Execute | None
    resources: Mapping[str, Any] | None
    after: str | None
    strict_order: bool
    begin: datetime | None
    schema_version: int | None
    redact: Collection[str]
    max_instances: int | None
    misfire_grace: Seconds | None
    coalesce: bool | None
    concurrency_group: str | None
    max_lookback_window: int | None
    registry: Registry[Any] | None
    max_errors: int | float | None
    capacity: int | Capacity
    validate: bool
    engine: Engine | None
    teardown: Seconds


@dataclass(frozen=True)
class Registration:
    """One call of `Flow.register`, in whose name what is wrong with it is refused."""

    name: str
    site: Site

    def refuse(self, rule: str, got: str, advice: str = "") -> NoReturn:
        """Raise the FlowError that names the flow, the line that registers it, the rule and what came."""
        where = str(self.site.origin)
        raise FlowError(what=f"flow {self.name!r:.200}", where=where, rule=rule, got=got, advice=advice)


@dataclass(frozen=True, kw_only=True)
class FlowOptions:
    """How a flow is scheduled and run.

    `schedule` writes the schedule row at first sight, together with `max_instances`, `misfire_grace`,
    `coalesce`, `concurrency_group` and `max_lookback_window` (None: the setting or the column's default). A
    `stateful` flow runs for windows: `backfill` says what is done about missed ones, `strict_order` that one is
    planned only when all before it are settled, `after` which flow's ledger must cover it, `begin` where the
    first one starts. `timeout` bounds one attempt, in seconds. `execute` None means the setting. `redact` names fields
    of items whose values are kept nowhere when an item fails.
    """

    schedule: Trigger | None = None
    stateful: bool = False
    backfill: BackfillPolicy = BackfillPolicy.SKIP
    retry: Retry = field(default_factory=partial(Retry, attempts=1))
    timeout: float | None = None
    tags: tuple[str, ...] = ()
    execute: Execute | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)
    after: str | None = None
    strict_order: bool = False
    begin: datetime | None = None
    schema_version: int | None = None
    redact: tuple[str, ...] = ()
    max_instances: int | None = None
    misfire_grace: timedelta | None = None
    coalesce: bool | None = None
    concurrency_group: str | None = None
    max_lookback_window: int | None = None
    run_options: RunOptions = field(default_factory=RunOptions)


def checked_values(made: Registration, values: Mapping[str, Any]) -> dict[str, Any]:
    """The options by the names of FlowOptions. Raises FlowError for the first that is wrong."""
    check_flow_name(made)
    _check_known(made, values)
    schedule = values.get("schedule")
    if schedule is not None and not isinstance(schedule, Trigger):
        advice = "Write schedule=Cron('0 * * * *'), Interval(minutes=5) or Date(...)"
        made.refuse("schedule is a trigger", f"got {describe(schedule)}", advice)
    stateful = _flag(made, "stateful", values.get("stateful", False))
    _check_together(made, values, stateful=stateful, scheduled=schedule is not None)
    execute = values.get("execute")
    if execute not in (None, "all", "leader"):
        made.refuse('execute is "all" or "leader"', f"got {execute!r:.80}")
    return {
        "schedule": schedule,
        "stateful": stateful,
        "backfill": _policy(made, values.get("backfill", BackfillPolicy.SKIP)),
        "retry": _retry(made, values.get("retry")),
        "timeout": _seconds(made, "timeout", values.get("timeout")),
        "tags": _texts(made, "tags", values.get("tags", ())),
        "execute": execute,
        "resources": dict(values.get("resources") or {}),
        "after": _after(made, values.get("after")),
        "strict_order": _flag(made, "strict_order", values.get("strict_order", False)),
        "begin": _begin(made, values.get("begin")),
        "redact": _texts(made, "redact", values.get("redact", ())),
        "schema_version": _whole(made, "schema_version", values.get("schema_version"), least=0),
        "run_options": _run_options(made, values),
        **_row_values(made, values),
    }


def check_flow_name(made: Registration) -> None:
    """Refuse a name that cannot be a key of the tables, an argument of a command and a part of an address."""
    name: object = made.name
    rule = f"a flow's name is text of 1 to {LONGEST_NAME} printable characters, without / and \\"
    if not isinstance(name, str):
        made.refuse(rule, f"got {describe(name)}", 'Write Flow.register("name", ...)')
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or set(name) & set("/\\"):
        made.refuse(rule, f"got {name!r:.80} of length {len(name)}")
    if name != name.strip() or name[0] in "-.":
        made.refuse("a flow's name begins with a letter or digit and ends without a blank", f"got {name!r}")
    if name == RESERVED:
        made.refuse("a flow has a name of its own", f"{name!r} is the row of the system's own settings")


def _check_known(made: Registration, values: Mapping[str, Any]) -> None:
    known = sorted({*FlowValues.__annotations__, "params"})
    for option in values:
        if option not in known:
            rule = f"an option of a flow is one of {', '.join(known)}"
            made.refuse(rule, f"got {option}=", did_you_mean(option, known))


def _check_together(
    made: Registration, values: Mapping[str, Any], *, stateful: bool, scheduled: bool
) -> None:
    for option in OF_WINDOWS:
        if values.get(option) and not stateful:
            made.refuse(f"{option} is for flows with windows", f"got {option}=", "Add stateful=True")
    for option in OF_THE_ROW:
        if values.get(option) is not None and not scheduled:
            rule = f"{option} is written into the row that schedule= makes"
            made.refuse(rule, f"got {option}= without schedule=", "Add schedule=, or set it in the row")


def _policy(made: Registration, value: object) -> BackfillPolicy:
    try:
        return BackfillPolicy(value)  # type: ignore[arg-type]  # whatever came, the error says so
    except ValueError:
        made.refuse("backfill is BackfillPolicy.CATCH_UP, SKIP or NONE", f"got {value!r:.80}")


def _retry(made: Registration, value: object) -> Retry:
    if value is None:
        return Retry(attempts=1)
    if isinstance(value, Retry):
        return value
    if not is_whole(value):
        made.refuse("retry is a Retry, or how many attempts there are at most", f"got {value!r:.80}")
    return Retry(attempts=value)


def _seconds(made: Registration, option: str, value: Any, *, least: float | None = None) -> float | None:
    """A number of seconds above 0, or from `least` on; None stays None."""
    if value is None:
        return None
    bound = "above 0" if least is None else f"of at least {least:g}"
    number = isinstance(value, (int, float, timedelta)) and not isinstance(value, bool)
    if not number or not (seconds(value) > 0 if least is None else seconds(value) >= least):
        made.refuse(f"{option} is a number of seconds or a timedelta {bound}", f"got {value!r:.80}")
    if seconds(value) > LONGEST_TIME:
        made.refuse(
            f"{option} is at most {LONGEST_TIME:,} seconds", f"got {value!r:.80}", "For no limit leave it out"
        )
    return seconds(value)


def _texts(made: Registration, option: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Collection):
        made.refuse(
            f"{option} is a list of texts", f"got {value!r:.80}", f"Write {option}=[{EXAMPLES[option]!r}]"
        )
    for one in value:
        if not isinstance(one, str) or not one.strip():
            made.refuse(f"{NAMED[option]} is text", f"got {one!r:.80}")
    return tuple(value)


def _after(made: Registration, value: object) -> str | None:
    if value is None:
        return None
    name = getattr(value, "name", value)  # a flow stands for its name
    if not isinstance(name, str) or not name:
        made.refuse("after is the name of a flow", f"got {describe(value)}")
    if name == made.name:
        made.refuse("a flow does not wait for itself", f"got after={name!r}")
    return name


def _begin(made: Registration, value: object) -> datetime | None:
    if value is None:
        return None
    try:
        return utc(value, "begin")  # type: ignore[arg-type]  # whatever came, the error says so
    except ScheduleError as error:
        made.refuse("begin is an aware datetime", f"got {error.got}", error.advice)


def _row_values(made: Registration, values: Mapping[str, Any]) -> dict[str, Any]:
    grace = _seconds(made, "misfire_grace", values.get("misfire_grace"), least=0)
    if grace is not None and not grace.is_integer():
        made.refuse("misfire_grace is a whole number of seconds", f"got {grace:g}")
    coalesce, group = values.get("coalesce"), values.get("concurrency_group")
    if group is not None and not (isinstance(group, str) and 0 < len(group) <= LONGEST_GROUP):
        rule = f"concurrency_group is a name of at most {LONGEST_GROUP} characters"
        made.refuse(rule, f"got {group!r:.80}")
    return {
        "max_instances": _whole(made, "max_instances", values.get("max_instances"), least=1),
        "misfire_grace": None if grace is None else timedelta(seconds=grace),
        "coalesce": None if coalesce is None else _flag(made, "coalesce", coalesce),
        "concurrency_group": group,
        "max_lookback_window": _whole(
            made, "max_lookback_window", values.get("max_lookback_window"), least=0
        ),
    }


def _run_options(made: Registration, values: Mapping[str, Any]) -> RunOptions:
    given: Any = {name: values[name] for name in RUN_OPTIONS if name in values}
    chosen: RunValues = given
    try:
        return run_options(chosen)
    except PipelineError as error:
        made.refuse(error.rule, error.got, error.advice)


def _flag(made: Registration, option: str, value: object) -> bool:
    if not isinstance(value, bool):
        made.refuse(f"{option} is True or False", f"got {value!r:.80}")
    return value


def _whole(made: Registration, option: str, value: object, *, least: int) -> int | None:
    if value is None:
        return None
    if not is_whole(value, least) or value >= 2**31:
        made.refuse(f"{option} is a whole number of at least {least}", f"got {value!r:.80}")
    return value
