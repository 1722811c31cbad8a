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
    ops_browsers,
    ops_pages,
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
        parts = [_chosen(part, asked) for part in _parts(fresh, asked)]
        if asked.list:
            print(*(figure.name for part in parts for figure in part), sep="\n")
            return 0
        if not any(parts):
            names = ", ".join(figure.name for part in _parts(fresh, asked) for figure in part)
            print(f"no figure's name contains {asked.only!r}; there are {names}", file=sys.stderr)
            return 2
        before = machine()
        measured = [_measured(part, fresh, asked) for part in parts]
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


def _parts(fresh: Databases, asked: argparse.Namespace) -> list[list[Figure]]:
    """The figures of moving items, those of scheduling and recording runs, and those of what operators look at."""
    modules = (
        fused_chain,
        concurrent_calls,
        worker_processes,
        memory,
        import_time,
        delivery_redis,
        telemetry,
    )
    dataflow = [figure for module in modules for figure in module.figures()]
    for module in (delivery_sql, delivery_csv, delivery_spool):
        dataflow += module.figures(fresh)
    control = control_figures.figures(fresh, written_only=not asked.without_ours)
    operations = [figure for module in (ops_pages, ops_browsers) for figure in module.figures(fresh)]
    return [dataflow, control, operations]


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


def _told(before: str, parts: list[list[Outcome]], asked: argparse.Namespace) -> int:
    if asked.json:
        values = [value for outcomes in parts for value in as_values(outcomes)]
        print(json.dumps({"machine": before, "rounds": asked.rounds, "figures": values}, indent=2))
    else:
        print(*(table(outcomes) + "\n" for outcomes in parts), sep="\n")
        print(f"{before} before; {machine()} after; medians of {asked.rounds}")
    return 0 if all(outcome.met for outcomes in parts for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
