"""`python -m tests.benchmarks`: every figure beside its limit and two peers, in one run.

Exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys

from tests.benchmarks import concurrent_calls, fused_chain, import_time, memory, worker_processes
from tests.benchmarks.figure import Figure, measure
from tests.benchmarks.table import as_values, details, machine, table


def main() -> int:
    """Measure what was asked for and print it."""
    asked = _arguments()
    figures = _figures(asked.only)
    if not figures:
        names = ", ".join(figure.name for figure in _figures(None))
        print(f"no figure's name contains {asked.only!r}; there are {names}", file=sys.stderr)
        return 2
    before, outcomes = machine(), []
    for figure in figures:
        outcomes.append(measure(figure, rounds=asked.rounds, patience=asked.patience))
        print(details(outcomes[-1]), end="\n\n", file=sys.stderr if asked.json else sys.stdout, flush=True)
    if asked.json:
        values = as_values(outcomes)
        print(json.dumps({"machine": before, "rounds": asked.rounds, "figures": values}, indent=2))
    else:
        print(table(outcomes), f"\n{before} before; {machine()} after; medians of {asked.rounds}", sep="\n")
    return 0 if all(outcome.met for outcome in outcomes) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="only figures whose name contains NAME")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured (default 7)")
    parser.add_argument("--patience", type=float, default=5.0, help="seconds to wait for a quiet machine (5)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser.parse_args()


def _figures(only: str | None) -> list[Figure]:
    modules = (fused_chain, concurrent_calls, worker_processes, memory, import_time)
    figures = [figure for module in modules for figure in module.figures()]
    return [figure for figure in figures if only is None or only in figure.name]


if __name__ == "__main__":
    sys.exit(main())
