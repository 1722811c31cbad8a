"""What the control half has to reach, beside the prototype and the peers."""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

from tests.benchmarks.control_databases import Databases, Kinds
from tests.benchmarks.control_ours import measured
from tests.benchmarks.control_piko_flow import PikoFlow
from tests.benchmarks.control_process import measure
from tests.benchmarks.figure import OURS, Contender, Figure, ratio

PROTOTYPE, CORE, ALONE = "prototype", "prototype Core", "timer alone"
PROCRASTINATE, DBOS = "procrastinate", "DBOS"
FEW = f"{OURS}, few runs"
KINDS: tuple[Kinds, ...] = ("sqlite", "mariadb")
RUNS, IN_FLIGHT, LOADED_RUNS = 20_000, 100, 5_000
PROCRASTINATE_SHARE, DBOS_SHARE = 0.1, 0.05
EACH_SECOND, SECONDS = 100, 5
ROWS, FLOWS, WINDOWS, YEAR_FLOWS = 10_000, 1_000, 10_000, 50
IDLE_SECONDS = 15
LEASE = 9  # seconds, by default


class Work(NamedTuple):
    """What a process of its own measures, which of the values counts, and the options that it is given."""

    what: str
    key: str
    options: dict[str, int | bool]

    @property
    def method(self) -> str:
        """The method of PikoFlow behind it."""
        return self.what.replace("-", "_")


EMPTY_RUNS = Work("empty-runs", "seconds", {"count": RUNS, "in_flight": IN_FLIGHT})
SPREAD = Work("due-to-start", "p99", {"each_second": EACH_SECOND, "seconds": SECONDS, "together": False})
TOGETHER = Work("due-to-start", "p99", {"each_second": EACH_SECOND, "seconds": SECONDS, "together": True})
STALL = Work("due-at-once", "stall", {"rows": ROWS})
UNCHANGED, QUERIES, CHANGED = (
    Work("reconcile", key, {"rows": ROWS}) for key in ("unchanged", "queries", "changed")
)
IDLE = Work("idle-queries", "value", {"flows": FLOWS, "seconds": IDLE_SECONDS})
LOADED, LONE = (
    Work("statements-per-run", key, {"count": LOADED_RUNS, "in_flight": IN_FLIGHT})
    for key in ("under_load", "alone")
)
TAKEOVER = Work("takeover", "value", {})
BACKFILL = Work("backfill", "value", {"windows": WINDOWS})
PLAN_YEAR = Work("plan-year", "value", {"flows": YEAR_FLOWS})


def figures(databases: Databases, *, written_only: bool = True) -> list[Figure]:
    """All figures; with `written_only` those alone whose method of PikoFlow is written."""
    pairs = [pair for kind in KINDS for pair in _of_kind(databases, kind)]
    pairs.append((PLAN_YEAR, _limit("plan-year", "a year of hourly windows for 50 flows", 2, "s", PLAN_YEAR)))
    return [figure for work, figure in pairs if measured(work.method) or not written_only]


def _of_kind(databases: Databases, kind: Kinds) -> list[tuple[Work, Figure]]:
    limit = partial(_limit, databases=databases, kind=kind)
    million = partial(_million, databases, kind)
    return [
        (EMPTY_RUNS, _runs(databases, kind)),
        (SPREAD, _due(databases, kind, SPREAD, "spread")),
        (TOGETHER, _due(databases, kind, TOGETHER, "together")),
        (STALL, limit("stall", "10,000 rows due at once: longest stall of a loop", 50, "ms", STALL)),
        (UNCHANGED, limit("poll", "a poll of 10,000 unchanged rows", 20, "ms", UNCHANGED)),
        (QUERIES, limit("poll-queries", "queries of a poll of unchanged rows", 1, "queries", QUERIES)),
        (CHANGED, limit("poll-changed", "one of 10,000 rows changed: in force", 100, "ms", CHANGED)),
        (IDLE, limit("idle", "an idle replica with 1,000 flows", 1, "queries/s", IDLE)),
        (LOADED, limit("statements", "statements a run, 100 in flight", 0.1, "a run", LOADED)),
        (LONE, limit("statements-alone", "statements of a run alone", 5, "a run", LONE)),
        (TAKEOVER, limit("takeover", "leader killed: another leads", LEASE + 2, "s", TAKEOVER)),
        (BACKFILL, _backfill(databases, kind)),
        *((work, million(name, work)) for name, work in BESIDE_A_MILLION.items()),
    ]


BESIDE_A_MILLION = {
    "runs": EMPTY_RUNS,
    "due-together": TOGETHER,
    "stall": STALL,
    "poll": UNCHANGED,
    "backfill": BACKFILL,
}


def _in_empty(databases: Databases, kind: Kinds, who: str, work: Work, share: float = 1.0) -> float:
    """Measure in an empty database; peers and the prototype make their own tables, ours are made beforehand."""
    options = dict(work.options)
    if share != 1.0:
        options["count"] = int(options["count"] * share)
    with databases.empty(kind) as url:
        if who == OURS:
            _prepare(url)
        return measure(work.what, who, url, work.key, **options)


def _in_filled(databases: Databases, kind: Kinds, work: Work) -> float:
    with databases.filled(kind, _prepare, PikoFlow().further_columns()) as url:
        return measure(work.what, OURS, url, work.key, **work.options)


def _prepare(url: str) -> None:
    measure("prepare", OURS, url)


def _runs(databases: Databases, kind: Kinds) -> Figure:
    run = partial(_in_empty, databases)
    return Figure(
        name=f"runs-{kind}",
        title=f"20,000 empty runs recorded in full, 100 in flight, {kind}",
        contenders=(
            Contender(OURS, partial(run, kind, OURS, EMPTY_RUNS), "plain jobs through one replica"),
            Contender(PROTOTYPE, partial(run, kind, PROTOTYPE, EMPTY_RUNS), "group commit on the driver"),
            Contender(CORE, partial(run, kind, CORE, EMPTY_RUNS), "group commit on SQLAlchemy Core"),
            Contender(
                PROCRASTINATE,
                partial(run, "postgresql", PROCRASTINATE, EMPTY_RUNS, PROCRASTINATE_SHARE),
                "batch_defer, one worker, concurrency=100, PostgreSQL",
                PROCRASTINATE_SHARE,
            ),
            Contender(
                DBOS,
                partial(run, "sqlite", DBOS, EMPTY_RUNS, DBOS_SHARE),
                "await workflow() by 100 tasks, SQLite",
                DBOS_SHARE,
            ),
        ),
        score=lambda seconds, _: RUNS / seconds,
        unit="runs/s",
        better="more",
        target=None,
        aim=8_000,
        how="queued, running, finished, each durable; counted in the tables afterwards",
        yardstick=PROTOTYPE,
        multiples=((PROCRASTINATE, 5.0), (DBOS, 10.0)),
    )


def _due(databases: Databases, kind: Kinds, work: Work, name: str) -> Figure:
    run = partial(_in_empty, databases, kind)
    return Figure(
        name=f"due-{name}-{kind}",
        title=f"from due to started, row durable first, 100 due each second, {name}, {kind}",
        contenders=(
            Contender(OURS, partial(run, OURS, work), "schedule rows in the leader's process"),
            Contender(PROTOTYPE, partial(run, PROTOTYPE, work), "a heap of times, group commit"),
            Contender(ALONE, partial(run, ALONE, work), "a heap of times, no row"),
        ),
        score=lambda seconds, _: seconds * 1000,
        unit="ms",
        better="less",
        target=None,
        aim=10.0,
        how="99th percentile of 500",
        yardstick=PROTOTYPE,
        multiples=((PROTOTYPE, 1 / 3),),
    )


def _backfill(databases: Databases, kind: Kinds) -> Figure:
    return Figure(
        name=f"backfill-{kind}",
        title=f"10,000 small windows backfilled, {kind}",
        contenders=(Contender(OURS, partial(_in_empty, databases, kind, OURS, BACKFILL), "one replica"),),
        score=lambda seconds, _: WINDOWS / seconds,
        unit="windows/s",
        better="more",
        target=2_000,
        how="from apply until all are settled",
    )


def _limit(
    name: str,
    title: str,
    target: float,
    unit: Literal["s", "ms", "queries", "queries/s", "a run"],
    work: Work,
    *,
    databases: Databases | None = None,
    kind: Kinds | None = None,
) -> Figure:
    """A figure of ours alone, which has to stay at or under a bound."""
    scale = 1000 if unit == "ms" else 1
    if databases is None or kind is None:
        run = partial(measure, work.what, OURS, "", work.key, **work.options)
    else:
        run = partial(_in_empty, databases, kind, OURS, work)
    return Figure(
        name=f"{name}-{kind}" if kind else name,
        title=f"{title}, {kind}" if kind else title,
        contenders=(Contender(OURS, run, "one replica"),),
        score=lambda value, _: value * scale,
        unit=unit,
        better="less",
        target=target,
        how="as measured",
    )


def _million(databases: Databases, kind: Kinds, name: str, work: Work) -> Figure:
    return Figure(
        name=f"{name}-million-{kind}",
        title=f"{name} beside a million ended runs, {kind}",
        contenders=(
            Contender(OURS, partial(_in_filled, databases, kind, work), "a million rows in job_run"),
            Contender(FEW, partial(_in_empty, databases, kind, OURS, work), "none but its own"),
        ),
        score=ratio,
        unit="x",
        better="less",
        target=1.2,
        how="time / time with few rows",
        yardstick=FEW,
    )
