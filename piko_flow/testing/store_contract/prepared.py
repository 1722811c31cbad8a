"""What runs prepare, and the decision to commit it: checks of RunStore."""

from __future__ import annotations

from typing import Final

from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch, Requeue
from piko_flow.testing.store_contract.scene import (
    Check,
    StoreUnderTest,
    end,
    ending,
    queue,
    start,
    take,
    wanted,
)


async def a_run_that_prepared_nothing_has_no_units(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await queue(store, wanted(1))
        assert await store.units(run.id) == ("", {})
        assert await store.units(999_999) == ("", {})
        assert await store.decision(run.id) is None
        assert await store.live_units() == []


async def units_are_kept_by_id_and_replaced_by_what_is_prepared_again(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        first, second = await start(store, wanted(1), wanted(2))
        await store.keep_unit(first.id, first.claim, "unit-0", "print-a", '{"rows": 1}')
        await store.keep_unit(first.id, first.claim, "unit-1", "print-a", '{"rows": "🦔\\u0000"}')
        await store.keep_unit(second.id, second.claim, "unit-0", "print-b", "{}")
        await store.keep_unit(first.id, first.claim, "unit-0", "print-a", '{"rows": 2}')
        kept = {"unit-0": '{"rows": 2}', "unit-1": '{"rows": "🦔\\u0000"}'}
        assert await other.units(first.id) == ("print-a", kept)
        assert await other.units(second.id) == ("print-b", {"unit-0": "{}"})


async def units_survive_the_attempt_that_prepared_them(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        await store.keep_unit(run.id, run.claim, "unit-0", "print", "{}")
        requeue = Requeue(run.id, run.claim, Reason.RETRY_WAIT, attempt=True)
        await store.write(Batch("one", requeues=[requeue]))
        assert await store.live_units() == ["{}"]
        await take(store, run)
        assert await store.units(run.id) == ("print", {"unit-0": "{}"})


async def a_unit_is_kept_while_the_claim_holds_and_what_the_next_holder_prepared_stays(
    stores: StoreUnderTest,
) -> None:
    async with stores.open() as store, stores.open() as other:
        [old] = await start(store, wanted(1))
        for unit in ("unit-0", "unit-1"):
            assert await store.keep_unit(old.id, old.claim, unit, "print", '"old"')
        await store.write(Batch("two", requeues=[Requeue(old.id, old.claim, Reason.RESCUED, rescue=True)]))
        assert not await store.keep_unit(old.id, old.claim, "unit-2", "print", '"queued"')
        [new] = await take(other, old)
        assert await other.keep_unit(new.id, new.claim, "unit-1", "print", '"new"')
        for unit in ("unit-0", "unit-1", "unit-2"):
            assert not await store.keep_unit(old.id, old.claim, unit, "other print", '"late"')
        kept = {"unit-0": '"old"', "unit-1": '"new"'}
        assert await other.units(new.id) == ("print", kept), "what the earlier claim prepared is used"
        await end(other, ending(new))
        assert not await other.keep_unit(new.id, new.claim, "unit-0", "print", '"ended"')
        assert not await store.keep_unit(999_999, 1, "unit-0", "print", "{}")


async def what_ended_runs_prepared_is_not_live(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        runs = await start(store, *(wanted(number) for number in range(3)))
        for run in runs:
            await store.keep_unit(run.id, run.claim, "unit-0", "print", f'{{"run": {run.id}}}')
        await end(store, ending(runs[0]), ending(runs[1], RunStatus.FAILED))
        assert await store.live_units() == [f'{{"run": {runs[2].id}}}']


async def a_decision_is_kept_while_the_claim_holds(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        [run] = await start(store, wanted(1))
        assert not await store.decide(run.id, run.claim + 1, "[]")
        assert not await store.decide(999_999, 1, "[]")
        assert await store.decision(run.id) is None
        assert await store.decide(run.id, run.claim, '["receipts"]')
        assert await other.decision(run.id) == '["receipts"]'


async def a_decision_cannot_be_taken_back(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        await store.decide(run.id, run.claim, '["first"]')
        assert await store.decide(run.id, run.claim, '["second"]'), "asked again after an unclear failure"
        assert await store.decision(run.id) == '["first"]'
        await store.write(Batch("two", requeues=[Requeue(run.id, run.claim, Reason.RESCUED, rescue=True)]))
        assert not await store.decide(run.id, run.claim, '["third"]')
        assert await store.decision(run.id) == '["first"]', "whoever claims it next rolls it forward"


async def a_run_that_is_not_running_decides_nothing(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [waiting] = await queue(store, wanted(1))
        [ended] = await start(store, wanted(2))
        await end(store, ending(ended))
        assert not await store.decide(waiting.id, 0, "[]")
        assert not await store.decide(ended.id, ended.claim, "[]")


async def a_run_whose_commit_is_decided_is_not_cancelled(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        early, late = await start(store, wanted(1), wanted(2))
        await store.cancel(early.id, by="ann")
        for run in (early, late):
            assert await store.decide(run.id, run.claim, "[]")
        unchanged = await store.cancel(late.id, by="ann")
        assert unchanged is not None
        assert (unchanged.status, unchanged.cancel_requested) == (RunStatus.RUNNING, "")
        assert await store.cancels("one") == []
        requeues = [Requeue(run.id, run.claim, Reason.ERROR, attempt=True) for run in (early, late)]
        await store.write(Batch("one", requeues=requeues))
        for run in (early, late):
            found = await store.cancel(run.id, by="ann")
            assert found is not None
            assert found.status is RunStatus.QUEUED, "what was decided is carried out"


CHECKS: Final[tuple[Check, ...]] = (
    a_run_that_prepared_nothing_has_no_units,
    units_are_kept_by_id_and_replaced_by_what_is_prepared_again,
    units_survive_the_attempt_that_prepared_them,
    a_unit_is_kept_while_the_claim_holds_and_what_the_next_holder_prepared_stays,
    what_ended_runs_prepared_is_not_live,
    a_decision_is_kept_while_the_claim_holds,
    a_decision_cannot_be_taken_back,
    a_run_that_is_not_running_decides_nothing,
    a_run_whose_commit_is_decided_is_not_cancelled,
)
