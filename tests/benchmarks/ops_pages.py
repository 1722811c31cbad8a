"""What a person waits for: pages, lists of the API and the page of metrics over a thousand flows and a million runs."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from functools import partial
from time import sleep

import httpx

from tests.benchmarks.control_databases import SETTLING, Databases, Kinds
from tests.benchmarks.control_process import measure
from tests.benchmarks.figure import OURS, Contender, Figure
from tests.benchmarks.neighbours import wait_for_quiet
from tests.benchmarks.ops_flows import fill_runs
from tests.benchmarks.ops_visits import measured, served, visit

KINDS: tuple[Kinds, ...] = ("sqlite", "mariadb")
FEW, MANY = (10, 10_000), (1_000, 1_000_000)  # flows and runs
PAGES = {
    "overview": "/",
    "overview-last": "/?page=15",
    "overview-found": "/?q=past_7",
    "flow": "/flows/past_1",
    "flow-stages": "/flows/past_2",
    "runs": "/runs",
    "runs-of-flow": "/runs?flow=past_1",
    "runs-failed": "/runs?status=FAILED",
    "run": "/runs/5000",
    "dead-letters": "/dead-letters",
    "backfills": "/backfills",
    "replicas": "/replicas",
}
LISTS = {
    "api-flows": "/api/v1/flows",
    "api-flow": "/api/v1/flows/past_1",
    "api-schedules": "/api/v1/schedules",
    "api-runs": "/api/v1/runs",
    "api-runs-of-flow": "/api/v1/runs?flow=past_1",
    "api-runs-failed": "/api/v1/runs?status=FAILED",
    "api-dead-letters": "/api/v1/dead-letters",
    "metrics": "/metrics",
}
EMPTY_WITH_FEW = ("overview-last", "overview-found")
WITHIN, METRICS_WITHIN, STALL = 200.0, 100.0, 50.0  # milliseconds
IDLE = 5.0  # seconds
FEW_FLOWS, NOBODY = f"{OURS}, 10 flows", "nobody asks"


class Pages:
    """Visits all addresses in one go, as often as there are rounds: filling a table takes longer than all of them.

    Each figure takes its value of each round.
    """

    def __init__(self, databases: Databases, kind: Kinds) -> None:
        self._databases, self._kind = databases, kind
        self._rounds: dict[tuple[int, int], list[dict[str, float]]] = {FEW: [], MANY: []}
        self._taken: Counter[tuple[str, tuple[int, int]]] = Counter()

    def value(self, name: str, size: tuple[int, int]) -> float:
        """The value of this name in the next round of so many flows and runs."""
        taken, rounds = self._taken[name, size], self._rounds[size]
        if taken == len(rounds):
            rounds.append(self._round(*size))
        self._taken[name, size] += 1
        return rounds[taken][name]

    def more_statements(self) -> float:
        """How many more statements an answer takes with many flows and runs than with few; the most of all."""
        names = [f"{name} statements" for name in (*PAGES, *LISTS) if name not in EMPTY_WITH_FEW]
        return max(self.value(name, MANY) - self.value(name, FEW) for name in names)

    def _round(self, flows: int, runs: int) -> dict[str, float]:
        with self._databases.empty(self._kind) as url:
            measure("prepare", OURS, url)
            fill_runs(url, flows=flows, runs=runs)
            wait_for_quiet(SETTLING)
            with served(url, flows) as place, closing(place.browser()) as browser, place.program() as program:
                measured(program)
                sleep(IDLE)
                found = {NOBODY: measured(program)["stall"], "stall": 0.0}
                for client, paths in ((browser, PAGES), (program, LISTS)):
                    for name, path in paths.items():
                        found |= _visited(client, name, path, found["stall"])
                return found


def _visited(client: httpx.Client, name: str, path: str, stall: float) -> dict[str, float]:
    got = visit(client, path)
    return {
        name: got.seconds,
        f"{name} first": got.first,
        f"{name} statements": got.statements,
        "stall": max(stall, got.stall),
    }


def figures(databases: Databases) -> list[Figure]:
    """For each page the time of an answer; the statements beside those of few flows; the stall of the control loop."""
    return [figure for kind in KINDS for figure in _of_kind(Pages(databases, kind), kind)]


def _of_kind(pages: Pages, kind: Kinds) -> list[Figure]:
    return [
        *(_page(pages, kind, name) for name in (*PAGES, *LISTS)),
        _first_metrics(pages, kind),
        _statements(pages, kind),
        _stall(pages, kind),
    ]


def _page(pages: Pages, kind: Kinds, name: str) -> Figure:
    path = (PAGES | LISTS)[name]
    return Figure(
        name=f"page-{name}-{kind}",
        title=f"{path} of 1,000 flows and a million runs, {kind}",
        contenders=(
            Contender(OURS, partial(pages.value, name, MANY), "behind the door, by HTTP"),
            Contender(FEW_FLOWS, partial(pages.value, name, FEW), "10,000 runs"),
        ),
        score=lambda seconds, _: seconds * 1000,
        unit="ms",
        better="less",
        target=METRICS_WITHIN if name == "metrics" else WITHIN,
        how="median of 15 answers, asked for one after the other",
        yardstick=FEW_FLOWS,
    )


def _first_metrics(pages: Pages, kind: Kinds) -> Figure:
    return Figure(
        name=f"page-metrics-first-{kind}",
        title=f"first answer of /metrics of 1,000 flows, {kind}",
        contenders=(Contender(OURS, partial(pages.value, "metrics first", MANY), "nobody has asked before"),),
        score=lambda seconds, _: seconds * 1000,
        unit="ms",
        better="less",
        target=METRICS_WITHIN,
        how="one answer for each start of the application",
    )


def _statements(pages: Pages, kind: Kinds) -> Figure:
    return Figure(
        name=f"page-statements-{kind}",
        title=f"statements of an answer beyond those with 10 flows and 10,000 runs, {kind}",
        contenders=(Contender(OURS, pages.more_statements, "the most of all pages and lists"),),
        score=lambda more, _: more,
        unit="queries",
        better="less",
        target=0,
        how="counted by the store",
    )


def _stall(pages: Pages, kind: Kinds) -> Figure:
    return Figure(
        name=f"page-stall-{kind}",
        title=f"longest stall of the control loop while pages of 1,000 flows are made, {kind}",
        contenders=(
            Contender(OURS, partial(pages.value, "stall", MANY), "each page and list asked for 15 times"),
            Contender(NOBODY, partial(pages.value, NOBODY, MANY), f"{IDLE:g} seconds"),
        ),
        score=lambda seconds, _: seconds * 1000,
        unit="ms",
        better="less",
        target=STALL,
        how="watched from inside",
        yardstick=NOBODY,
    )
