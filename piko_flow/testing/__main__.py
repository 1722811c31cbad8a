"""`python -m piko_flow.testing --seed 17`: replay a simulated world, or try many."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from piko_flow.testing.simulation import SimulationFailed, simulate


def main() -> int:
    """Simulate the seeds that are asked for; 1 when one of them fails."""
    parser = argparse.ArgumentParser(prog="python -m piko_flow.testing", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds")
    parser.add_argument("--log", action="store_true", help="print the end of each log")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)  # what goes wrong is in the log of the world
    failed, write = 0, sys.stdout.write
    for seed in range(asked.seed, asked.seed + asked.count):
        world = asyncio.run(simulate(seed))
        if asked.log:
            write("\n".join(world.log) + "\n")
        write(
            f"seed {seed}: digest {world.digest}, {world.steps} steps, {world.writes} writes, "
            f"{world.commits} commits, {world.terms} terms, {world.crashes} replicas gone\n"
        )
        try:
            world.check()
        except SimulationFailed as error:
            failed += 1
            sys.stderr.write(f"{error}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
