"""The simulation is worth something: defects that are planted in the code it drives do not get past it."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from piko_flow.control.leader import leadership
from piko_flow.control.runs.worker import Worker
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Written
from piko_flow.store.memory.rows import MemoryRows
from piko_flow.store.memory.store import MemoryStore
from piko_flow.store.records import NewRun, RunRecord
from piko_flow.testing import ManualClock, simulate

SEEDS = range(300)  # of these at least one has to show it; mostly one of the first five does


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Replicas warn of every fault."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def caught(kind: str, **options: Any) -> bool:
    """Whether one of the seeds finds a violation of this kind."""
    for seed in SEEDS:
        world = asyncio.run(simulate(seed, **options))
        if any(violation.startswith(kind) for violation in world.violations):
            return True
    return False


class Unfenced(MemoryStore):
    """Writes whatever the term."""

    def _refuse_old_term(self, batch: Batch) -> None:
        pass


def test_a_store_that_does_not_look_at_terms_is_caught() -> None:
    assert caught("two terms", store=Unfenced)


class Credulous(MemoryStore):
    """Lets whoever asks end a run, whatever its claim."""

    async def write(self, batch: Batch) -> Written:
        """Make the claims of the batch hold."""
        for ending in list(batch.endings):
            run = self._rows.runs.get(ending.run)
            if run is not None and run.status is RunStatus.RUNNING and batch.term is None:
                self._rows.runs[run.id] = replace(run, claim=ending.claim, replica=batch.replica)
        return await super().write(batch)


def test_a_store_that_does_not_look_at_claims_is_caught() -> None:
    assert caught("stale claim", store=Credulous)


class Forgetful(MemoryRows):
    """Never learns how far a flow was planned."""

    def put_state(self, state: FlowState) -> None:
        """Keep the first `planned_until`."""
        known = self.states.get(state.flow)
        if known is not None and known.planned_until is not None:
            state = replace(state, planned_until=known.planned_until)
        super().put_state(state)


class Repeating(Forgetful):
    """Besides, it takes a run of the same key again, and does not tell who is live."""

    def run_of(self, new: NewRun) -> int | None:
        """No key is known."""
        return None

    def state(self, flow: str) -> FlowState:
        """Nobody lives."""
        return replace(super().state(flow), live=())


def over(rows: type[MemoryRows]) -> Callable[[ManualClock], MemoryStore]:
    """A store over rows of this kind."""
    return lambda clock: MemoryStore(clock, rows=rows(most=100_000))


def test_a_store_that_forgets_how_far_was_planned_is_caught() -> None:
    assert caught("not planned", store=over(Forgetful))


def test_a_window_that_is_planned_twice_is_caught() -> None:
    assert caught("overlap", store=over(Repeating))


def test_a_lease_that_is_trusted_too_long_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_long(asked_at: float, ttl: timedelta, margin: timedelta) -> float:
        return asked_at + 2 * ttl.total_seconds()

    monkeypatch.setattr(leadership, "trusted_until", too_long)
    assert caught("two leaders")


def test_a_worker_that_never_looks_for_claims_whose_answer_was_lost_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing(worker: Worker) -> bool:
        return True

    monkeypatch.setattr(Worker, "release_unknown", nothing)
    assert caught("for ever")


class Merciless(MemoryStore):
    """Tells that nobody's runs are lost."""

    async def lost(self) -> list[RunRecord]:
        """None."""
        return []


def test_runs_that_nobody_rescues_are_caught() -> None:
    assert caught("left behind", store=Merciless)
