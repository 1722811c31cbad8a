"""Config rows and the versions made of them: checks of ScheduleStore."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from piko_flow.store.protocols import Store
from piko_flow.store.records import ConfigRecord, DeadLetterRecord, ParamsVersion
from piko_flow.testing.store_contract.raising import raises
from piko_flow.testing.store_contract.scene import HOUR, LONG, START, Check, StoreUnderTest, queue, wanted


async def a_config_row_counts_its_versions(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first = await store.set_config("orders", '{"a": 1}', schema_version=1, effective_from=None)
        second = await store.set_config("orders", '{"a": 2}', schema_version=3, effective_from=START)
        assert (first.version, second.version) == (1, 2)
        [row] = await store.configs()
        assert json.loads(row.text) == {"a": 2}
        assert replace(row, text="") == ConfigRecord("orders", "", 3, START, 2)


async def a_config_row_is_read_by_its_flow(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        for flow in ("orders", "mail"):
            await store.set_config(flow, f'{{"of": "{flow}"}}', schema_version=1, effective_from=START)
        mail, orders = await store.configs()
        assert await other.config("orders") == orders
        assert await other.config("mail") == mail
        assert await other.config("none") is None


async def writers_of_one_config_row_each_make_a_version(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        made = await asyncio.gather(
            *(
                handle.set_config("orders", f'{{"a": {number}}}', schema_version=1, effective_from=None)
                for number, handle in enumerate([store, other] * 3)
            )
        )
        assert sorted(row.version for row in made) == [1, 2, 3, 4, 5, 6]
        [row] = await store.configs()
        assert row.version == 6


async def what_is_no_json_object_is_refused(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        for text in ("", "{", "[1]", "null", "1", '{"a": NaN}', "{'a': 1}", '{"a": 1} {}'):
            refused = store.set_config("orders", text, schema_version=1, effective_from=None)
            error = await raises(ValueError, refused)
            assert "JSON" in str(error), text
        assert await store.configs() == []


async def json_text_keeps_what_people_write_in_it(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        value = {"emoji": "🦔", "quote": 'a "b" \\ %s :x', "nul": "\0", "deep": [1, {"b": [None, 1.5, True]}]}
        for text in (
            json.dumps(value),
            json.dumps(value, ensure_ascii=False),
            json.dumps({"long": "x" * 200_000}),
        ):
            await store.set_config("orders", text, schema_version=1, effective_from=None)
            [row] = await store.configs()
            assert json.loads(row.text) == json.loads(text)


async def a_change_of_any_config_column_changes_the_digest(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        row = ConfigRecord("orders", '{"a": 1}', 2, START, 7)
        changed = (
            replace(row, text='{"a": 2}'),
            replace(row, schema_version=3),
            replace(row, effective_from=START + timedelta(microseconds=1)),
            replace(row, effective_from=None),
            replace(row, version=8),
            ConfigRecord("mail", '{"a": 1}', 2, START, 7),
        )
        digests = []
        for one in (row, *changed):
            await stores.edit(one)
            digests.append((await store.digest()).configs)
        assert len(set(digests)) == len(digests)
        assert len({(await store.digest()).schedules}) == 1


async def rows_that_are_changed_alike_change_the_digest(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        flows = [f"flow-{number}" for number in range(4)]
        digests = []
        for text in ('{"a": 1}', '{"a": 2}'):
            for flow in flows:
                await stores.edit(ConfigRecord(flow, text, version=7))
            digests.append((await store.digest()).configs)
        for one, other in (flows[:2], flows[2:]):
            await stores.edit(ConfigRecord(one, '{"a": 1}', version=7))
            digests.append((await store.digest()).configs)
            await stores.edit(ConfigRecord(other, '{"a": 1}', version=7))
            digests.append((await store.digest()).configs)
        assert digests[0] == digests.pop()
        assert len(set(digests)) == len(digests)


async def a_deleted_config_row_changes_the_digest(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        empty = (await store.digest()).configs
        await stores.edit(ConfigRecord("mail", '{"a": 1}'))
        one = (await store.digest()).configs
        await stores.edit(ConfigRecord("orders", "{}"))
        await stores.delete_config("orders")
        assert (await store.digest()).configs == one
        await stores.delete_config("mail")
        assert (await store.digest()).configs == empty != one
        assert await store.configs() == []


async def a_deletion_that_was_seen_is_a_version_and_ends_what_was_in_force(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        now = (await store.digest()).now
        await store.keep_params([_version(1), _version(2, effective_from=now + LONG)])
        [gone] = await store.keep_params([ParamsVersion("orders", "", version=0)])
        [again] = await other.keep_params([ParamsVersion("orders", "", version=0)])
        assert gone == again
        assert [one.deleted for one in await other.params("orders")] == [True, False, False]
        assert await other.params() == [gone], "neither what was nor what was to come can be in force again"
        [back] = await store.keep_params([_version(1)])
        assert await other.params() == [back]


async def a_version_that_was_seen_is_kept_once(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        [first] = await store.keep_params([_version(1)])
        [again] = await other.keep_params([_version(1)])
        [second] = await store.keep_params([_version(2)])
        assert first == again
        assert replace(first, id=0, seen_at=None) == _version(1)
        assert second.id > first.id
        assert first.seen_at is not None
        assert await store.params("orders") == [second, first]
        assert await store.params_version(first.id) == first
        assert await store.params_version(second.id + 1_000_000) is None


async def a_version_that_comes_back_is_a_new_one(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [first] = await store.keep_params([_version(1)])
        await store.keep_params([_version(2)])
        [third] = await store.keep_params([_version(1)])
        assert third.id > first.id
        assert [version.version for version in await store.params("orders")] == [1, 2, 1]


async def a_version_that_is_no_longer_refused_is_a_new_one(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [first] = await store.keep_params([replace(_version(1), refused="a: not a number")])
        [second] = await store.keep_params([_version(1)])
        assert second.id > first.id
        assert [version.refused for version in await store.params("orders")] == ["", "a: not a number"]


async def several_flows_versions_are_kept_in_one_call_in_its_order(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.keep_params([_version(1, flow="b")])
        kept = await store.keep_params([_version(1, flow=flow) for flow in ("c", "b", "a")])
        assert [version.flow for version in kept] == ["c", "b", "a"]
        assert all(version.id for version in kept)
        assert await store.keep_params([]) == []


async def the_versions_of_a_flow_are_given_newest_first_up_to_a_limit(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        for number in range(1, 6):
            await store.keep_params([_version(number), _version(number, flow="mail")])
        assert [version.version for version in await store.params("orders", limit=3)] == [5, 4, 3]
        assert await store.params("never seen") == []


async def what_can_be_in_force_is_what_a_replica_reads_at_its_start(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        now = (await store.digest()).now
        past, soon, later = now - HOUR, now + HOUR, now + LONG
        await _keep(store, "orders", None, past, soon, later)
        await _keep(store, "mail", later, past)
        await _keep(store, "files", soon)
        await store.keep_params([replace(_version(9, flow="orders"), refused="bad")])
        assert await _in_force(store) == {"orders": [4, 3, 2], "mail": [2], "files": [1]}


async def all_flows_are_given_what_can_be_in_force_however_many_there_are(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.keep_params([_version(1, flow=f"flow {number}") for number in range(250)])
        assert len(await store.params()) == 250


async def old_versions_go_and_those_in_force_to_come_newest_or_pinned_stay(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        now = (await store.digest()).now
        await _keep(store, "mail", None, now + LONG)
        await _keep(store, "orders", None, None, None, now + LONG, None, now + LONG)
        await store.keep_params([replace(_version(7), refused="bad"), _version(8, effective_from=now + LONG)])
        known = {version.version: version for version in await store.params("orders")}
        letter = DeadLetterRecord("orders", 0, "s", "1", "E", "no", "f", params_version=known[3].id)
        await queue(store, wanted(flow="orders", params_version=known[2].id))
        await store.keep_dead_letters([letter])
        assert await other.prune_params(before=now - HOUR, keep=1, limit=100) == 0
        assert await other.prune_params(before=now + HOUR, keep=5, limit=100) == 1
        assert [one.version for one in await store.params("orders")] == [8, 7, 6, 5, 4, 3, 2]
        assert await other.prune_params(before=now + HOUR, keep=1, limit=1) == 1
        assert await store.params_version(known[4].id) is None, "it was overtaken before its time"
        assert await other.prune_params(before=now + HOUR, keep=1, limit=1) == 1
        assert await other.prune_params(before=now + HOUR, keep=1, limit=1) == 0
        assert [one.version for one in await store.params("orders")] == [8, 6, 5, 3, 2]
        assert [one.version for one in await store.params("mail")] == [2, 1]


async def of_refused_versions_the_newest_of_each_flow_is_told(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        assert await other.refused_params() == {}
        good, bad = _version(1), replace(_version(2), refused="bad")
        await store.keep_params([good, bad, _version(1, flow="mail")])
        assert await other.refused_params() == {"orders": "bad"}
        await store.keep_params([replace(_version(3), refused="worse"), replace(bad, flow="mail")])
        assert await other.refused_params() == {"mail": "bad", "orders": "worse"}
        assert await other.refused_params(["orders", "nobody"]) == {"orders": "worse"}
        assert await other.refused_params([]) == {}
        await store.keep_params([_version(4), ParamsVersion("mail", "", version=0)])
        assert await other.refused_params() == {}


async def a_naive_moment_is_refused(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        naive = store.set_config("orders", "{}", schema_version=1, effective_from=datetime(2026, 1, 1))
        await raises(ValueError, naive)
        assert await store.configs() == []


def _version(number: int, *, flow: str = "orders", effective_from: datetime | None = None) -> ParamsVersion:
    return ParamsVersion(flow, f'{{"number": {number}}}', 2, effective_from, number)


async def _keep(store: Store, flow: str, *effective: datetime | None) -> None:
    for number, moment in enumerate(effective, start=1):
        await store.keep_params([_version(number, flow=flow, effective_from=moment)])


async def _in_force(store: Store) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for version in await store.params():
        found.setdefault(version.flow, []).append(version.version)
    return found


CHECKS: Final[tuple[Check, ...]] = (
    a_config_row_counts_its_versions,
    a_config_row_is_read_by_its_flow,
    writers_of_one_config_row_each_make_a_version,
    what_is_no_json_object_is_refused,
    json_text_keeps_what_people_write_in_it,
    a_change_of_any_config_column_changes_the_digest,
    rows_that_are_changed_alike_change_the_digest,
    a_deleted_config_row_changes_the_digest,
    a_deletion_that_was_seen_is_a_version_and_ends_what_was_in_force,
    a_version_that_was_seen_is_kept_once,
    a_version_that_comes_back_is_a_new_one,
    a_version_that_is_no_longer_refused_is_a_new_one,
    several_flows_versions_are_kept_in_one_call_in_its_order,
    the_versions_of_a_flow_are_given_newest_first_up_to_a_limit,
    what_can_be_in_force_is_what_a_replica_reads_at_its_start,
    all_flows_are_given_what_can_be_in_force_however_many_there_are,
    old_versions_go_and_those_in_force_to_come_newest_or_pinned_stay,
    of_refused_versions_the_newest_of_each_flow_is_told,
    a_naive_moment_is_refused,
)
