"""`python -m tests.benchmarks`: every figure beside its limit and its peers, in one run.

Exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys

from tests.benchmarks import (
    concurrent_calls,
    control_figures,
    delivery_csv,
    delivery_redis,
    delivery_spool,
    delivery_sql,
    fused_chain,
    import_time,
    memory,
    telemetry,
    worker_processes,
)
from tests.benchmarks.control_databases import Databases, databases
from tests.benchmarks.figure import Figure, Outcome, measure
from tests.benchmarks.table import as_values, details, machine, table


def main() -> int:
    """Measure what was asked for and print it."""
    asked = _arguments()
    with databases() as fresh:
        halves = [_chosen(half, asked) for half in _halves(fresh, asked)]
        if asked.list:
            print(*(figure.name for half in halves for figure in half), sep="\n")
            return 0
        if not any(halves):
            names = ", ".join(figure.name for half in _halves(fresh, asked) for figure in half)
            print(f"no figure's name contains {asked.only!r}; there are {names}", file=sys.stderr)
            return 2
        before = machine()
        measured = [_measured(half, fresh, asked) for half in halves]
    return _told(before, [outcomes for outcomes in measured if outcomes], asked)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="only figures whose name contains NAME")
    parser.add_argument(
        "--list", action="store_true", help="print the names of the figures and measure nothing"
    )
    parser.add_argument(
        "--without-ours", action="store_true", help="only the others, which have no target to meet"
    )
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured (default 7)")
    parser.add_argument("--patience", type=float, default=5.0, help="seconds to wait for a quiet machine (5)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser.parse_args()


def _halves(fresh: Databases, asked: argparse.Namespace) -> list[list[Figure]]:
    """The figures of moving items, and those of scheduling and recording runs."""
    modules = (fused_chain, concurrent_calls, worker_processes, memory, import_time, delivery_redis, telemetry)
    dataflow = [figure for module in modules for figure in module.figures()]
    for module in (delivery_sql, delivery_csv, delivery_spool):
        dataflow += module.figures(fresh)
    return [dataflow, control_figures.figures(fresh, written_only=not asked.without_ours)]


def _chosen(figures: list[Figure], asked: argparse.Namespace) -> list[Figure]:
    chosen = [figure for figure in figures if asked.only is None or asked.only in figure.name]
    if asked.without_ours:
        chosen = [figure.without_ours() for figure in chosen]
    return [figure for figure in chosen if figure.contenders]


def _measured(figures: list[Figure], fresh: Databases, asked: argparse.Namespace) -> list[Outcome]:
    """Measure one figure after the other, and tell of each at once."""
    outcomes = []
    for figure in figures:
        outcomes.append(
            measure(figure, rounds=asked.rounds, patience=asked.patience, servers=fresh.processes)
        )
        print(details(outcomes[-1]), end="\n\n", file=sys.stderr if asked.json else sys.stdout, flush=True)
    return outcomes


def _told(before: str, halves: list[list[Outcome]], asked: argparse.Namespace) -> int:
    if asked.json:
        values = [value for outcomes in halves for value in as_values(outcomes)]
        print(json.dumps({"machine": before, "rounds": asked.rounds, "figures": values}, indent=2))
    else:
        print(*(table(outcomes) + "\n" for outcomes in halves), sep="\n")
        print(f"{before} before; {machine()} after; medians of {asked.rounds}")
    return 0 if all(outcome.met for outcomes in halves for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
