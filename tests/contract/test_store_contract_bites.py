"""The contract finds what is wrong with a store: defects, planted one by one, each break one of its promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from piko_flow.planning.flow_state import Change
from piko_flow.planning.ledger import Ledger
from piko_flow.store import applying
from piko_flow.store.memory import rows, runs, schedules, staging, writing
from piko_flow.store.memory.door import MemoryDoor
from piko_flow.store.memory.leases import MemoryLeases
from piko_flow.store.memory.runs import MemoryRuns
from piko_flow.store.memory.schedules import MemorySchedules
from piko_flow.store.memory.staging import MemoryStaging
from piko_flow.testing.store_contract import STORE_CONTRACT, MemoryStores

Plant = Callable[[pytest.MonkeyPatch], None]


def lenient_claims(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(writing, "may_end", lambda run, batch, claim: run.claim == claim)


def any_replica_ends(patch: pytest.MonkeyPatch) -> None:
    strict = applying.may_end
    patch.setattr(
        writing, "may_end", lambda run, batch, claim: strict(run, replace(batch, replica=run.replica), claim)
    )


def forgetful_of_endings(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(writing, "has_ended_so", lambda run, ending: False)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "is_outdated", lambda batch, lease: False)


def overwriting_edits(patch: pytest.MonkeyPatch) -> None:
    def show(state: Any) -> Any:
        mark = state.watermark
        return state if mark is None else replace(state, written=mark, shown=mark)

    patch.setattr(applying, "show_watermark", show)


def deaf_to_edits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(applying, "observe_edit", lambda state: Change(state))


def keys_that_are_not_unique(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rows.MemoryRows, "run_of", lambda self, new: None)


def terms_that_grow_too_often(patch: pytest.MonkeyPatch) -> None:
    kept = MemoryLeases.renew

    async def renew(self: MemoryLeases, lease: Any, *, ttl: timedelta) -> bool:
        renewed = await kept(self, lease, ttl=ttl)
        if renewed:
            held = self._rows.leases[lease.name]
            self._rows.leases[lease.name] = replace(held, term=held.term + 1)
        return renewed

    patch.setattr(MemoryLeases, "renew", renew)


def the_dead_counted_as_alive(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("piko_flow.store.memory.leases.is_alive", lambda *_: True)


def claims_before_their_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "is_due", lambda run, now: True)


def decisions_that_can_be_taken_back(patch: pytest.MonkeyPatch) -> None:
    async def decide(self: MemoryRuns, run: int, claim: int, text: str) -> bool:
        if held := self._held(run, claim):
            self._rows.prepared.setdefault(run, rows.Prepared()).decision = text
        return held

    patch.setattr(MemoryRuns, "decide", decide)


def a_digest_of_the_versions_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemorySchedules, "_content", lambda self, row: f"{row.flow} {row.version}")


def a_digest_of_our_own_writes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemorySchedules, "_content", lambda self, row: repr(replace(row, updated_at=None)))


def texts_that_are_never_cut(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "fitting_batch", lambda batch: (batch, {}))


def failures_that_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "fail", lambda self, window: self)


def cancelled_runs_that_go_on(patch: pytest.MonkeyPatch) -> None:
    kept = applying.requeued
    patch.setattr(writing, "requeued", lambda run, *rest: kept(replace(run, cancel_requested=""), *rest))


def cancelled_backfills_that_go_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(writing, "refused_backfill", lambda decided, record: None)


def any_json(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schedules, "check_json_object", lambda text: text)


def rows_staged_under_any_claim(patch: pytest.MonkeyPatch) -> None:
    kept = MemoryStaging.stage

    async def stage(self: MemoryStaging, run: int, claim: int, part: Any, chunk: int, text: str) -> bool:
        record = self._rows.runs.get(run)
        return await kept(self, run, claim if record is None else record.claim, part, chunk, text)

    patch.setattr(MemoryStaging, "stage", stage)


def attempts_that_share_what_they_stage(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(staging, "key_of", lambda part: (part.sink, part.unit, 1))


def staged_rows_that_stay(patch: pytest.MonkeyPatch) -> None:
    async def sweep_staged(self: MemoryStaging, limit: int) -> int:
        return 0

    patch.setattr(MemoryStaging, "sweep_staged", sweep_staged)


def versions_that_go_though_a_run_has_them(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemorySchedules, "_pinned_versions", lambda self, flow: set())


def links_that_are_good_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryDoor, "use_token", MemoryDoor.token)


def sessions_that_outlive_their_token(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("piko_flow.store.memory.door.heir_of", lambda token, parent, now: token)


def expired_tokens_that_are_good(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("piko_flow.store.memory.door.is_good", lambda token, now: token.revoked_at is None)


def what_was_seen_of_rows_is_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schedules, "check_seen", lambda what, seen, **now: None)


def what_was_seen_of_runs_is_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(applying, "check_seen", lambda what, seen, **now: None)


def answers_that_are_given_to_two(patch: pytest.MonkeyPatch) -> None:
    async def begin_answer(self: MemoryDoor, answer: Any, **bounds: Any) -> None:
        self._rows.answers[answer.who, answer.key] = answer

    patch.setattr(MemoryDoor, "begin_answer", begin_answer)


def answers_that_are_never_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("piko_flow.store.memory.door.is_over", lambda answer, now, **bounds: False)


def logs_of_runs_that_are_gone(patch: pytest.MonkeyPatch) -> None:
    kept = rows.MemoryRows.forget_run

    def forget_run(self: rows.MemoryRows, run: Any) -> None:
        lines = self.logs.get(run.id)
        kept(self, run)
        if lines is not None:
            self.logs[run.id] = lines

    patch.setattr(rows.MemoryRows, "forget_run", forget_run)


def lasting_episodes_that_go(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("piko_flow.store.memory.notices._is_before", lambda moment, at: True)


DEFECTS: tuple[Plant, ...] = (
    lenient_claims,
    any_replica_ends,
    forgetful_of_endings,
    no_fence,
    overwriting_edits,
    deaf_to_edits,
    keys_that_are_not_unique,
    terms_that_grow_too_often,
    the_dead_counted_as_alive,
    claims_before_their_time,
    decisions_that_can_be_taken_back,
    a_digest_of_the_versions_alone,
    a_digest_of_our_own_writes,
    texts_that_are_never_cut,
    failures_that_are_forgotten,
    cancelled_runs_that_go_on,
    cancelled_backfills_that_go_on,
    any_json,
    rows_staged_under_any_claim,
    attempts_that_share_what_they_stage,
    staged_rows_that_stay,
    versions_that_go_though_a_run_has_them,
    links_that_are_good_twice,
    sessions_that_outlive_their_token,
    expired_tokens_that_are_good,
    what_was_seen_of_rows_is_not_compared,
    what_was_seen_of_runs_is_not_compared,
    answers_that_are_given_to_two,
    answers_that_are_never_over,
    logs_of_runs_that_are_gone,
    lasting_episodes_that_go,
)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
async def test_a_store_with_this_defect_breaks_a_promise(
    defect: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    defect(monkeypatch)
    broken = []
    for check in STORE_CONTRACT:
        try:
            await check(MemoryStores())
        except AssertionError:
            broken.append(check.__name__)
    assert broken
