"""A thousand worlds of two or three replicas in which everything goes wrong that can, and nothing is lost or done twice."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from piko_flow.testing import Fault, FaultKind, ScriptedFaults, SimulationFailed, simulate
from piko_flow.testing.simulation import Simulated
from tests.architecture.checkout import ROOT

CHUNK = 25
SEEDS = 1000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Replicas warn of every fault; here there are thousands."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_goes_wrong_no_window_is_lost_and_none_committed_twice(first: int) -> None:
    for seed in range(first, first + CHUNK):
        world = asyncio.run(simulate(seed)).check()
        assert world.writes > 20, f"seed {seed}: nothing happened in this world"


def test_in_the_worlds_of_a_chunk_everything_happens_that_is_to_be_survived() -> None:
    worlds = [asyncio.run(simulate(seed)) for seed in range(CHUNK)]
    assert sum(world.terms for world in worlds) > 3 * CHUNK
    assert sum(world.crashes for world in worlds) > 2 * CHUNK
    log = "\n".join(line for world in worlds for line in world.log)
    for kind in FaultKind:
        assert kind.replace("_", " ") in log or kind in log, f"{kind} never happened"


def test_the_same_seed_gives_the_same_log_also_in_a_process_that_hashes_otherwise() -> None:
    said = set()
    for hashes in ("1", "2"):
        ended = subprocess.run(
            [sys.executable, "-m", "piko_flow.testing", "--seed", "11", "--count", "3"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        )
        said.add(ended.stdout)
    [text] = said
    assert asyncio.run(simulate(12)).digest in text


def test_other_seeds_give_other_logs() -> None:
    assert len({asyncio.run(simulate(seed, hours=0.2)).digest for seed in range(8)}) == 8


def test_a_failing_world_says_what_is_wrong_and_how_to_see_it_again() -> None:
    world = Simulated(17, "", 1, 1, 1, 1, 0, ("lost: a window",), ("a line of the log",))
    with pytest.raises(SimulationFailed) as caught:
        world.check()
    said = str(caught.value)
    assert all(part in said for part in ("lost: a window", "a line of the log", "--seed 17"))


async def test_a_leader_that_dies_when_its_first_runs_are_queued_loses_none_of_them() -> None:
    faults = ScriptedFaults({("write", 1): Fault(FaultKind.CRASH_AFTER, seconds=1200.0)})
    world = await simulate(3, replicas=2, faults=faults, edits=False)
    assert world.check().crashes >= 1
    assert world.terms >= 2
