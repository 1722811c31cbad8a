"""Long texts, large batches, few statements, old runs: checks of what a store does at its limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Final

from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch, PlannedFires, Requeue
from piko_flow.store.protocols import RunFilter, Store
from piko_flow.store.records import DeadLetterRecord, NewRun
from piko_flow.store.texts import NAMES, TOLD
from piko_flow.testing.store_contract.raising import raises
from piko_flow.testing.store_contract.scene import (
    HOUR,
    LEASE,
    ONE,
    START,
    Check,
    StoreUnderTest,
    end,
    ending,
    found,
    lead,
    plan,
    queue,
    schedule,
    start,
    state,
    take,
    wanted,
)

HEDGEHOGS: Final = "🦔" * 5000
LETTER: Final = DeadLetterRecord("mail", 0, "parse", "{}", "ValueError", "no id", "f" * 64)


async def told_texts_are_cut_to_their_columns(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.beat(replace(ONE, host=HEDGEHOGS, version=HEDGEHOGS), ttl=HOUR)
        new = wanted(1, requested_by=HEDGEHOGS, trace=HEDGEHOGS, claim=True)
        [run] = (await store.write(Batch("one", queue=[new]))).claimed
        await store.cancel(run.id, by=HEDGEHOGS)
        letter = replace(LETTER, stage=HEDGEHOGS, error_msg=HEDGEHOGS, payload=f'"{HEDGEHOGS}"')
        told = dict.fromkeys(("reason", "error_type", "error_hash", "error_msg"), HEDGEHOGS)
        await end(store, ending(run, RunStatus.FAILED, dead_letters=(letter,), **told))
        kept = await found(store, run)
        for name in (*told, "host", "requested_by", "trace", "cancel_requested"):
            assert getattr(kept, name) == HEDGEHOGS[: TOLD[name] - 1] + "…", name
        [dead] = await store.dead_letters()
        assert dead.payload == f'"{HEDGEHOGS}"', "what has to be replayed is kept whole"
        assert [len(dead.stage), len(dead.error_msg)] == [TOLD["stage"], TOLD["error_msg"]]


async def told_texts_of_attempts_and_flows_are_cut_too(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        failed = Requeue(run.id, run.claim, "x" * 99, attempt=True, error_msg=HEDGEHOGS)
        await store.write(Batch("one", requeues=[failed]))
        [attempt] = await store.attempts(run.id)
        assert (len(attempt.reason), len(attempt.error_msg)) == (TOLD["reason"], TOLD["error_msg"])
        await store.pause("mail", HEDGEHOGS)
        await store.note_refusals({"mail": HEDGEHOGS})
        [flow] = await store.flows()
        assert (len(flow.paused), len(flow.refused)) == (TOLD["paused"], TOLD["refused"])


async def names_as_long_as_their_columns_are_kept(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        longest = NewRun("é" * NAMES["flow"], START, "k" * NAMES["key"], origin="o" * NAMES["origin"])
        [run] = await queue(store, longest)
        kept = await found(store, run)
        assert (kept.flow, kept.key, kept.origin) == (longest.flow, longest.key, longest.origin)
        expr = '{"cron": "' + "x" * (NAMES["schedule_expr"] - 12) + '"}'
        await store.add_schedules([replace(schedule(longest.flow), schedule_expr=expr)])
        assert [row.schedule_expr for row in await store.schedules()] == [expr]


async def a_run_whose_values_do_not_fit_is_refused_alone(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        term = await lead(store)
        east = timezone(timedelta(hours=1))
        wrong = (
            NewRun("f" * (NAMES["flow"] + 1), START, "key"),
            NewRun("mail", START, "k" * (NAMES["key"] + 1)),
            replace(wanted(2), not_before=datetime(1, 1, 1, tzinfo=east)),
            replace(wanted(3), scheduled_time=datetime(2026, 1, 1)),
            wanted(4, params='{"raw": "\0"}'),
        )
        for number, one in enumerate(wrong, start=10):
            around = [wanted(number, claim=True), one, wanted(number, "last")]
            batch = Batch("one", term, planned=[PlannedFires("mail", START)], queue=around)
            written = await store.write(batch)
            assert [run is not None for run in written.queued] == [True, False, True]
            assert [run.flow for run in written.claimed] == ["mail"]
            assert list(written.refused) == [1]
            assert isinstance(written.refused[1], ValueError)
        assert len(await store.live()) == 2 * len(wrong)
        written = await store.write(Batch("one", queue=[wrong[0]]))
        assert (written.queued, list(written.refused)) == ([None], [0])


async def names_that_are_too_long_are_refused_and_nothing_is_written(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        row = replace(schedule(), timezone="z" * (NAMES["timezone"] + 1))
        await raises(RequestRefused, store.add_schedules([schedule("mail"), row]))
        await raises(RequestRefused, store.set_schedule(row))
        too_long = "f" * (NAMES["flow"] + 1)
        await raises(RequestRefused, store.set_config(too_long, "{}", schema_version=1, effective_from=None))
        assert (await store.live(), await store.schedules(), await store.configs()) == ([], [], [])


async def what_no_database_can_keep_is_shown_by_other_characters_or_refused(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        letter = replace(LETTER, payload='{"raw": "a\0b"}', error_msg="half \ud83e")
        await end(
            store, ending(run, RunStatus.FAILED, error_msg="nul \0, half \ud83e", dead_letters=(letter,))
        )
        assert (await found(store, run)).error_msg == "nul \N{SYMBOL FOR NULL}, half ?"
        [kept] = await store.dead_letters()
        assert (kept.payload, kept.error_msg) == ('{"raw": "a\N{SYMBOL FOR NULL}b"}', "half ?")
        for wrong in (wanted(2, flow="a\0b"), wanted(2, params='{"raw": "\0"}'), wanted(2, flow="\ud83e")):
            assert isinstance((await store.write(Batch("one", queue=[wrong]))).refused[0], RequestRefused)
        assert await store.live() == []


async def long_texts_of_their_own_are_kept_whole(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        text = '{"long": "' + "🦔é" * 100_000 + '"}'
        new = wanted(1, params=text, claim=True)
        [run] = (await store.write(Batch("one", queue=[new]))).claimed
        assert (await found(store, run)).params == text
        await store.keep_unit(run.id, run.claim, "unit-0", "print", text)
        assert (await store.units(run.id))[1] == {"unit-0": text}
        await store.decide(run.id, run.claim, text)
        assert await store.decision(run.id) == text
        await end(store, ending(run, position=text))
        assert await store.position("mail") == text


async def quotes_and_backslashes_stay_what_they_are(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        odd = "it's \"odd\": \\ \\' %s %(x)s :name ? {x} $1 ; -- \n\r\t /*"
        [run] = await queue(store, NewRun(odd, START, odd, requested_by=odd, params=odd))
        kept = await found(store, run)
        assert (kept.flow, kept.key, kept.requested_by, kept.params) == (odd, odd, odd, odd)
        assert [run.id for run in await store.runs(RunFilter(flow=odd))] == [run.id]


async def thousands_of_runs_fit_into_one_batch(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        term = await lead(store)
        new = [wanted(number, claim=number % 2 == 0) for number in range(5000)]
        written = await store.write(Batch("one", term, queue=new))
        made = [run for run in written.queued if run is not None]
        assert [run.key for run in made] == [run.key for run in new]
        assert len(written.claimed) == 2500
        ids = [run.id for run in made if run.status is RunStatus.QUEUED]
        taken = (await store.write(Batch("one", term, admit=ids, claim=ids))).claimed
        assert [run.id for run in taken] == ids
        ended = await end(store, *(ending(run) for run in [*written.claimed, *taken]))
        assert ended.stale == set()
        pulse = await store.pulse(LEASE, "one")
        assert (pulse.queued, pulse.running) == (0, 0)
        assert len(await store.runs(RunFilter(statuses=[RunStatus.SUCCESS], limit=9999))) == 5000


async def a_larger_batch_does_not_take_more_statements(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await queue(store, wanted(-1))  # whatever is done once for a handle is done

        async def written(first: int, count: int) -> int:
            before = store.statements
            runs = await queue(store, *(wanted(first + number) for number in range(count)))
            taken = (await store.write(Batch("one", claim=[run.id for run in runs]))).claimed
            await end(store, *(ending(run) for run in taken))
            return store.statements - before

        small, large = await written(0, 3), await written(1000, 300)
        assert large <= small + 4, "ids may be reserved in between, nothing else"


async def a_run_alone_takes_five_statements_at_most(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        term = await lead(store)
        await queue(store, wanted(0))
        before = store.statements
        batch = Batch("one", term, planned=[PlannedFires("mail", START + HOUR, "hourly")])
        [run] = (await store.write(replace(batch, queue=[wanted(1, claim=True)]))).claimed
        await end(store, ending(run, duration_ms=1))
        assert store.statements - before <= 5


async def old_runs_are_pruned_with_all_that_belongs_to_them(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        await store.write(
            Batch("one", requeues=[Requeue(run.id, run.claim, Reason.RETRY_WAIT, attempt=True)])
        )
        [run] = await take(store, run)
        await store.keep_unit(run.id, run.claim, "unit-0", "print", "{}")
        await store.decide(run.id, run.claim, "[]")
        await end(store, ending(run, position='{"line": 7}', dead_letters=(LETTER,)))
        waiting, running = (await queue(store, wanted(2)))[0], (await start(store, wanted(3)))[0]
        now = (await store.digest()).now
        assert await store.prune(before=now - HOUR, keep=10, limit=100) == 0
        assert await store.prune(before=None, keep=None, limit=100) == 0
        assert await store.prune(before=now + HOUR, keep=None, limit=100) == 1
        assert await store.run(run.id) is None
        assert (await store.attempts(run.id), await store.units(run.id)) == ([], ("", {}))
        assert (await store.decision(run.id), await store.dead_letters()) == (None, [])
        assert await store.live() == [waiting, running]
        assert await store.position("mail") == '{"line": 7}', "the next run goes on from there"
        assert (await store.write(Batch("one", queue=[wanted(1)]))).queued[0] is not None


async def of_each_flow_the_newest_ended_runs_are_kept(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        runs = await start(store, *(wanted(number) for number in range(5)))
        others = await start(store, *(wanted(number, flow="other") for number in range(2)))
        await end(store, *(ending(run) for run in [*runs, *others]))
        now = (await store.digest()).now
        assert await store.prune(before=now - HOUR, keep=2, limit=2) == 2
        assert await _left(store) == [run.id for run in [*runs[2:], *others]]
        assert await store.prune(before=now - HOUR, keep=2, limit=2) == 1
        assert await store.prune(before=None, keep=2, limit=2) == 0
        assert await _left(store) == [run.id for run in [*runs[3:], *others]]


async def the_ledger_outlives_its_runs(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        runs = await take(store, *await plan(store, 0, 3))
        await end(store, *(ending(run) for run in runs[:2]), ending(runs[2], RunStatus.FAILED))
        before = await state(store)
        now = (await store.digest()).now
        assert await store.prune(before=now + HOUR, keep=1, limit=100) == 3
        assert await state(store) == before


async def _left(store: Store) -> list[int]:
    return sorted(run.id for run in await store.runs(RunFilter(limit=100)))


CHECKS: Final[tuple[Check, ...]] = (
    told_texts_are_cut_to_their_columns,
    told_texts_of_attempts_and_flows_are_cut_too,
    names_as_long_as_their_columns_are_kept,
    a_run_whose_values_do_not_fit_is_refused_alone,
    names_that_are_too_long_are_refused_and_nothing_is_written,
    what_no_database_can_keep_is_shown_by_other_characters_or_refused,
    long_texts_of_their_own_are_kept_whole,
    quotes_and_backslashes_stay_what_they_are,
    thousands_of_runs_fit_into_one_batch,
    a_larger_batch_does_not_take_more_statements,
    a_run_alone_takes_five_statements_at_most,
    old_runs_are_pruned_with_all_that_belongs_to_them,
    of_each_flow_the_newest_ended_runs_are_kept,
    the_ledger_outlives_its_runs,
)
