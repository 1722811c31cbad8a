"""What sinks stage until their run ends: checks of RunStore."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from piko_flow.dataflow.stages.sink import Part, Transaction
from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch, Requeue
from piko_flow.store.protocols import Store
from piko_flow.store.records import RunRecord
from piko_flow.store.texts import NAMES
from piko_flow.testing.store_contract.raising import raises
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

LONG_NAME: Final = "a sink whose name is longer than its column, " * 3


class Reading:
    """Reads in a run's last transaction what these parts have staged."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self.found: list[list[str]] = []

    async def __call__(self, transaction: Transaction) -> None:
        self.found = [[text async for text in transaction.staged(part)] for part in self._parts]


class GivenUp(Exception):
    """Raised by a sink in a run's last transaction."""


def part_of(run: RunRecord, *, unit: str = "unit-0", sink: str = "orders") -> Part:
    """A part as the run's attempt under its claim has it."""
    return Part(str(run.id), unit, attempt=run.claim, sink=sink)


async def stage(store: Store, run: RunRecord, part: Part, *texts: str) -> None:
    """Stage texts, as chunks from 0 on; the claim has to hold."""
    for chunk, text in enumerate(texts):
        assert await store.stage(run.id, run.claim, part, chunk, text)


async def what_is_staged_is_read_in_its_order_where_the_run_ends(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        [run] = await start(store, wanted(1))
        part = part_of(run)
        for chunk in (2, 0, 11, 1, *range(3, 11)):
            assert await store.stage(run.id, run.claim, part, chunk, f"chunk {chunk} 🦔")
        reading = Reading(part, part_of(run, unit="unit-1"))
        await end(other, ending(run, within=reading))
        assert reading.found == [[f"chunk {chunk} 🦔" for chunk in range(12)], []]


async def a_chunk_that_is_staged_again_replaces_itself(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        part, reading = part_of(run), Reading(part_of(run))
        await stage(store, run, part, "first", "second")
        await stage(store, run, part, "first again")
        await end(store, ending(run, within=reading))
        assert reading.found == [["first again", "second"]]


async def what_parts_have_staged_is_kept_apart(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        run, neighbour = await start(store, wanted(1), wanted(2))
        parts = [
            part_of(run),
            part_of(run, unit="unit-1"),
            part_of(run, sink="refunds"),
            replace(part_of(run), attempt=run.claim + 1),
            part_of(run, sink=f"{LONG_NAME}a"),
            part_of(run, sink=f"{LONG_NAME}b"),
        ]
        for number, part in enumerate(parts):
            await stage(store, run, part, f"part {number}")
        await stage(store, neighbour, parts[0], "of the neighbour")
        for one, expected in ((run, [[f"part {number}"] for number in range(6)]), (neighbour, None)):
            reading = Reading(*parts)
            await end(store, ending(one, within=reading))
            assert reading.found == (expected or [["of the neighbour"], [], [], [], [], []])


async def a_long_text_is_staged_as_it_is(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        reading, text = Reading(part_of(run)), "p" + '[1,"\'\\ %s :name é"],' * 100_000
        await stage(store, run, part_of(run), text)
        await end(store, ending(run, within=reading))
        assert reading.found == [[text]]


async def nothing_is_staged_under_a_claim_that_is_lost(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        [waiting] = await queue(store, wanted(1))
        assert not await store.stage(waiting.id, waiting.claim, part_of(waiting), 0, "queued")
        assert not await store.stage(999_999, 1, part_of(waiting), 0, "of no run")
        [old] = await start(store, wanted(2))
        part = part_of(old)
        await stage(store, old, part, "old")
        await store.write(Batch("two", requeues=[Requeue(old.id, old.claim, Reason.RESCUED, rescue=True)]))
        assert not await store.stage(old.id, old.claim, part, 1, "given back")
        [new] = await take(other, old)
        await stage(other, new, part_of(new), "new")
        assert not await store.stage(old.id, old.claim, part, 0, "late")
        assert not await store.stage(old.id, old.claim, part_of(new), 0, "late")
        reading = Reading(part_of(new))
        await end(other, ending(new, within=reading))
        assert reading.found == [["new"]]
        assert not await other.stage(new.id, new.claim, part_of(new), 0, "ended")
        assert await store.sweep_staged(10) == 0


async def a_unit_too_long_or_a_text_with_nul_is_refused_also_under_a_lost_claim(
    stores: StoreUnderTest,
) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        part = part_of(run)
        long = replace(part, unit="u" * (NAMES["unit"] + 1))
        for claim in (run.claim, run.claim + 1):
            refused = await raises(RequestRefused, store.stage(run.id, claim, long, 0, "row"))
            assert f"{NAMES['unit']} characters" in str(refused), refused
            refused = await raises(RequestRefused, store.stage(run.id, claim, part, 0, "nul \0"))
            assert "NUL" in str(refused), refused
        longest = replace(part, unit="u" * NAMES["unit"])
        await stage(store, run, longest, "row")
        reading = Reading(longest, part, long)
        await end(store, ending(run, within=reading))
        assert reading.found == [["row"], [], []]


async def an_ending_under_a_claim_that_is_lost_reads_nothing(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [old] = await start(store, wanted(1))
        reading = Reading(part_of(old))
        await stage(store, old, part_of(old), "old")
        await store.write(Batch("two", requeues=[Requeue(old.id, old.claim, Reason.RESCUED, rescue=True)]))
        [new] = await take(store, old)
        written = await end(store, ending(old, within=reading))
        assert (written.stale, reading.found) == ({old.id}, [])
        again = Reading(part_of(old))
        await end(store, ending(new, within=again))
        assert again.found == [["old"]], "what an earlier claim has staged and prepared is used"


async def an_ending_that_is_given_up_leaves_what_was_staged(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        reading = Reading(part_of(run))
        await stage(store, run, part_of(run), "row")

        async def give_up(transaction: Transaction) -> None:
            await reading(transaction)
            raise GivenUp

        await raises(GivenUp, end(store, ending(run, within=give_up)))
        assert reading.found == [["row"]]
        reading.found = []
        await end(store, ending(run, within=reading))
        assert reading.found == [["row"]]


async def the_last_transaction_removes_all_that_the_run_has_staged(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        run, other = await start(store, wanted(1), wanted(2))
        dead = replace(part_of(run), attempt=run.claim + 1)
        await stage(store, run, part_of(run), "row")
        await stage(store, run, dead, "of an attempt that died")
        await stage(store, other, part_of(other), "of another run")
        await end(store, ending(run, within=Reading(part_of(run))))
        await end(store, ending(other, RunStatus.FAILED))
        assert await store.sweep_staged(10) == 1, "what the other run has left"


async def what_ended_runs_left_staged_is_swept_and_what_live_ones_have_stays(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        runs = await start(store, *(wanted(number) for number in range(5)))
        for run in runs:
            await stage(store, run, part_of(run), "one", "two", "three")
        failed, cancelled, succeeded, retried, running = runs
        await end(
            store,
            ending(failed, RunStatus.FAILED),
            ending(cancelled, RunStatus.CANCELLED),
            ending(succeeded),
        )
        await store.write(
            Batch("one", requeues=[Requeue(retried.id, retried.claim, Reason.RETRY_WAIT, attempt=True)])
        )
        assert [await other.sweep_staged(2) for _ in range(3)] == [6, 3, 0]
        [taken] = await take(store, retried)
        for run, part in ((taken, part_of(retried)), (running, part_of(running))):
            reading = Reading(part)
            await end(store, ending(run, within=reading))
            assert reading.found == [["one", "two", "three"]]


async def what_is_staged_goes_with_its_run(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        await stage(store, run, part_of(run), "row")
        await end(store, ending(run, RunStatus.FAILED))
        assert await store.prune(before=None, keep=0, limit=10) == 1
        assert await store.sweep_staged(10) == 0


CHECKS: Final[tuple[Check, ...]] = (
    what_is_staged_is_read_in_its_order_where_the_run_ends,
    a_chunk_that_is_staged_again_replaces_itself,
    what_parts_have_staged_is_kept_apart,
    a_long_text_is_staged_as_it_is,
    nothing_is_staged_under_a_claim_that_is_lost,
    a_unit_too_long_or_a_text_with_nul_is_refused_also_under_a_lost_claim,
    an_ending_under_a_claim_that_is_lost_reads_nothing,
    an_ending_that_is_given_up_leaves_what_was_staged,
    the_last_transaction_removes_all_that_the_run_has_staged,
    what_ended_runs_left_staged_is_swept_and_what_live_ones_have_stays,
    what_is_staged_goes_with_its_run,
)
