"""Reading a Redis stream: what an entry gives, where a slice ends and the next begins, what was removed unread."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from piko_flow import Parse, Retry, RunReport, Sink, StageFailed, Transform, run, start
from piko_flow.connectors.redis_streams import (
    BrokenEntry,
    EntriesLost,
    RedisFailed,
    RedisStreamSource,
    StreamEntry,
)
from piko_flow.dataflow.plan.plan import make_plan
from piko_flow.dataflow.plan.plan_options import PlanOptions
from piko_flow.errors import PipelineError
from piko_flow.testing import CollectingSink
from tests.databases.redis import PASSWORD, RedisHost


class Order(BaseModel):
    number: int


def added(host: RedisHost, numbers: range, stream: str = "orders") -> None:
    """Add an entry for each number, under the id that has it."""
    for number in numbers:
        host.client("XADD", stream, f"{number}-0", "json", json.dumps({"number": number}))


async def slice_of(host: RedisHost, since: Any = None, **options: Any) -> tuple[list[Any], RunReport]:
    """What a slice gives, and its report; it ends when all have been read, unless the options say otherwise."""
    kept: CollectingSink[Any] = CollectingSink()
    source = RedisStreamSource(host.url(), "orders", **{"wait": 0, **options})
    report = await run(source >> kept, since=since)
    return kept.items, report


def numbers(items: list[Any]) -> list[int]:
    return [item["number"] for item in items]


async def failure_of(host: RedisHost, since: Any = None, **options: Any) -> BaseException:
    """What a slice fails with."""
    with pytest.raises(StageFailed) as caught:
        await slice_of(host, since, **options)
    assert caught.value.__cause__ is not None
    return caught.value.__cause__


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 500])
async def test_slices_give_every_entry_once_and_in_order(redis: RedisHost, batch: int) -> None:
    added(redis, range(1, 8))
    got: list[int] = []
    since, ends = None, list[bool]()
    while True:
        items, report = await slice_of(redis, since, max_items=3, batch=batch)
        since = json.loads(json.dumps(report.position))  # as a ledger keeps it
        got += numbers(items)
        ends.append(report.more)
        if not report.more:
            break
    assert got == list(range(1, 8))
    assert ends == [True, True, False]
    assert since == {"id": "7-0", "added": 7}
    items, report = await slice_of(redis, since)
    assert (items, report.position) == ([], since)


async def test_a_stream_that_is_not_there_is_waited_for(redis: RedisHost) -> None:
    items, report = await slice_of(redis)
    assert (items, report.position, report.more) == ([], None, False)
    kept: CollectingSink[Any] = CollectingSink()
    source = RedisStreamSource(redis.url(), "orders", wait=None, max_items=2)
    async with start(source >> kept) as active:
        await asyncio.to_thread(added, redis, range(1, 3))
        await active.wait()
    assert numbers(kept.items) == [1, 2]


async def test_a_slice_waits_for_entries_that_come(redis: RedisHost) -> None:
    added(redis, range(1, 3))
    got = asyncio.Event()
    kept: list[int] = []

    def keep(item: dict[str, int]) -> None:
        kept.append(item["number"])
        got.set()

    source = RedisStreamSource(redis.url(), "orders", wait=None, max_items=4)
    async with start(source >> Sink(keep)) as active:
        await got.wait()
        await asyncio.to_thread(added, redis, range(3, 6))
        report = await active.wait()
    assert kept == [1, 2, 3, 4]
    assert (report.position, report.more) == ({"id": "4-0", "added": 4}, True)


async def test_the_age_of_a_slice_ends_a_wait_and_the_next_goes_on(redis: RedisHost) -> None:
    added(redis, range(1, 3))
    got, since = list[int](), None
    while len(got) < 2:  # on a slow machine a slice may end before it has read anything
        items, report = await slice_of(redis, since, wait=None, max_age=0.3)
        assert report.more
        got, since = [*got, *numbers(items)], report.position
    assert got == [1, 2]
    added(redis, range(3, 4))
    items, _ = await slice_of(redis, since)
    assert numbers(items) == [3]


async def test_a_drain_ends_a_wait(redis: RedisHost) -> None:
    source = RedisStreamSource(redis.url(), "orders", wait=None, max_age=timedelta(hours=1))
    seen: list[Any] = []
    async with start(source >> Sink(seen.append)) as active:
        active.drain()
        assert (await active.wait()).outcome in ("drained", "succeeded")


async def test_only_what_comes_from_now_on_is_read_where_that_is_asked_for(redis: RedisHost) -> None:
    added(redis, range(1, 3))
    items, report = await slice_of(redis, start="new")
    assert (items, report.position) == ([], {"id": "2-0", "added": 2})
    added(redis, range(3, 5))
    items, _ = await slice_of(redis, report.position, start="new")
    assert numbers(items) == [3, 4]


async def test_what_is_new_in_a_stream_that_was_not_there_is_all_of_it(redis: RedisHost) -> None:
    _, report = await slice_of(redis, start="new")
    added(redis, range(1, 3))
    items, _ = await slice_of(redis, report.position, start="new")
    assert numbers(items) == [1, 2]


async def test_fields_come_as_text_where_there_is_no_json(redis: RedisHost) -> None:
    redis.client("XADD", "orders", "1-0", "number", "7", "city", "Łódź")
    items, _ = await slice_of(redis, field=None)
    assert items == [{"number": "7", "city": "Łódź"}]
    parsed = await (RedisStreamSource(redis.url(), "orders", field="number", of=int, wait=0)).collect()
    assert parsed == [7]


async def test_an_entry_as_it_stands_can_be_decoded_under_an_on_error(redis: RedisHost) -> None:
    redis.client("XADD", "orders", "1-0", "json", '{"number": 1}')
    redis.client("XADD", "orders", "2-0", "json", "{")
    redis.client("XADD", "orders", "3-0", "text", "x")
    redis.client("XADD", "orders", "4-0", "json", '{"number": 4}', "trace", "t1")
    source = RedisStreamSource(redis.url(), "orders", of=StreamEntry, wait=0)

    def decoded(entry: StreamEntry) -> Any:
        return entry.json()

    kept: CollectingSink[Any] = CollectingSink()
    stages = Transform(decoded, on_error="dead_letter") >> Parse(Order, on_error="dead_letter")
    report = await run(source >> stages >> kept)
    assert kept.items == [Order(number=1), Order(number=4)]
    assert [letter.item.id for letter in report.dead_letters] == ["2-0", "3-0"]
    assert "there is no field 'json'; it has 'text'" in report.dead_letters[1].error


@pytest.mark.parametrize(
    ("fields", "options", "reason"),
    [
        (["json", "{"], {}, "it must hold JSON ("),
        (["json", "[1]"], {}, "it must hold a JSON object, got [1]; of= takes another kind"),
        (["json", '"x"'], {"of": int}, "it must hold JSON of type int, got 'x'"),
        (["text", "x"], {}, "there is no field 'json'; it has 'text'"),
        (["json", '{"a": NaN, "n": 12345678901234567890}'], {}, "it must hold JSON (NaN is no JSON)"),
    ],
)
async def test_an_entry_that_is_something_else_fails_the_run_and_is_named(
    redis: RedisHost, fields: list[str], options: Any, reason: str
) -> None:
    added(redis, range(1, 3))
    redis.client("XADD", "orders", "3-1", *fields)
    error = await failure_of(redis, {"id": "2-0", "added": 2}, **options)
    assert isinstance(error, BrokenEntry)
    assert str(error).startswith(f"stream 'orders', entry 3-1: {reason}")
    assert "read them with of=StreamEntry" in str(error)


async def test_whole_numbers_of_any_size_are_read_exactly(redis: RedisHost) -> None:
    redis.client("XADD", "orders", "1-0", "json", '{"number": 123456789012345678901234567890}')
    items, _ = await slice_of(redis)
    assert items == [{"number": 123456789012345678901234567890}]


async def test_entries_removed_before_they_were_read_fail_the_run(redis: RedisHost) -> None:
    added(redis, range(1, 4))
    _, report = await slice_of(redis)
    added(redis, range(4, 11))
    redis.client("XTRIM", "orders", "MAXLEN", "3")
    error = await failure_of(redis, report.position)
    assert isinstance(error, EntriesLost)
    assert str(error) == (
        "stream 'orders', read up to 3-0: 4 entries after it were removed before they were read; "
        'to go on with what is there, give lost="skip"'
    )


async def test_a_loss_may_be_passed_over_with_a_warning(
    redis: RedisHost, caplog: pytest.LogCaptureFixture
) -> None:
    added(redis, range(1, 11))
    since = {"id": "3-0", "added": 3}
    redis.client("XTRIM", "orders", "MAXLEN", "3")
    with caplog.at_level(logging.WARNING, "piko_flow.redis"):
        items, report = await slice_of(redis, since, lost="skip")
    assert numbers(items) == [8, 9, 10]
    assert report.position == {"id": "10-0", "added": 10}
    assert "4 entries after it were removed" in caplog.text


@pytest.mark.parametrize("left", [0, 3, 5])
async def test_what_was_read_may_be_removed(redis: RedisHost, left: int) -> None:
    """Somebody trims the stream to what has not been read yet, and later to less than nothing unread."""
    added(redis, range(1, 6))
    items, report = await slice_of(redis, max_items=5 - left) if left < 5 else ([], None)
    assert numbers(items) == list(range(1, 6 - left))
    since = None if report is None else report.position
    redis.client("XTRIM", "orders", "MAXLEN", str(left))
    added(redis, range(6, 8))
    items, report = await slice_of(redis, since)
    assert numbers(items) == list(range(6 - left, 8))
    assert report.position == {"id": "7-0", "added": 7}


async def test_entries_deleted_one_by_one_are_no_loss(redis: RedisHost) -> None:
    added(redis, range(1, 9))
    redis.client("XDEL", "orders", "2-0", "5-0")
    items, report = await slice_of(redis, max_items=2)
    assert numbers(items) == [1, 3]
    redis.client("XDEL", "orders", "3-0", "6-0")
    items, report = await slice_of(redis, report.position)
    assert numbers(items) == [4, 7, 8]
    redis.client("XTRIM", "orders", "MAXLEN", "0")
    added(redis, range(9, 10))
    items, report = await slice_of(redis, report.position)
    assert (numbers(items), report.position) == ([9], {"id": "9-0", "added": 9})


async def test_a_stream_that_ends_before_the_position_fails_the_run(redis: RedisHost) -> None:
    added(redis, range(1, 6))
    _, report = await slice_of(redis)
    redis.client("DEL", "orders")
    added(redis, range(1, 3))
    error = await failure_of(redis, report.position)
    assert "it ends at 2-0: it was made anew, or the server has lost its end" in str(error)
    _, report = await slice_of(redis, report.position, lost="skip")
    added(redis, range(3, 4))
    items, _ = await slice_of(redis, report.position)
    assert numbers(items) == [3]


def scripts_run(host: RedisHost) -> int:
    """How many scripts the server has run."""
    told = host.client("INFO", "commandstats").partition("cmdstat_evalsha:calls=")[2]
    return int(told.partition(",")[0] or 0)


async def test_large_entries_are_not_all_asked_for_at_once(
    redis: RedisHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piko_flow.connectors.redis_reader.MOST_BYTES", 100_000)
    for number in range(1, 11):
        value = json.dumps({"number": number, "x": "x" * 60_000})
        redis.client("XADD", "orders", f"{number}-0", "json", value)
    before = scripts_run(redis)
    items, _ = await slice_of(redis)
    assert numbers(items) == list(range(1, 11))
    assert scripts_run(redis) - before >= 5


async def test_a_run_may_be_resumed_after_it_has_read_and_not_with_another_stream(redis: RedisHost) -> None:
    added(redis, range(1, 4))

    async def resumed(stream: str) -> str:
        pipeline = RedisStreamSource(redis.url(), stream, wait=0) >> CollectingSink[Any]()
        before = make_plan(pipeline, PlanOptions()).fingerprint
        await run(pipeline)
        assert make_plan(pipeline, PlanOptions()).fingerprint == before
        return before

    assert await resumed("orders") != await resumed("others")


async def test_a_position_that_is_none_is_refused(redis: RedisHost) -> None:
    error = await failure_of(redis, "5-0")
    assert isinstance(error, ValueError)
    assert str(error) == ("""a position of a stream is {"id": "1700000000000-0", "added": 1}, got '5-0'""")


async def test_a_key_that_is_no_stream_is_told(redis: RedisHost) -> None:
    redis.client("SET", "orders", "x")
    error = await failure_of(redis)
    assert isinstance(error, RedisFailed)
    assert "WRONGTYPE" in str(error)


async def test_a_wrong_password_is_told_at_once_and_never_shown(redis: RedisHost) -> None:
    wrong = redis.url().replace(PASSWORD, "hush-hush")
    source = RedisStreamSource(wrong, "orders", wait=0)
    with pytest.raises(StageFailed) as caught:
        await source.collect()
    error = caught.value.__cause__
    assert isinstance(error, RedisFailed)
    assert not error.passing
    shown = f"{caught.value} {error} {source!r} {error.__cause__}"
    assert f"redis://127.0.0.1:{redis.port}/0: run a script: AuthenticationError" in shown
    assert "hush-hush" not in shown


async def test_a_server_that_is_away_is_tried_again_and_then_named(redis: RedisHost) -> None:
    port = str(redis.port)
    away = redis.url().replace(port, "1")
    source = RedisStreamSource(away, "orders", wait=0, retry=Retry(attempts=3, first=0))
    with pytest.raises(StageFailed) as caught:
        await source.collect()
    error = caught.value.__cause__
    assert isinstance(error, RedisFailed)
    assert error.passing
    assert str(error).startswith("redis://127.0.0.1:1/0: run a script: ConnectionError")


async def test_a_server_that_hangs_is_given_up(private_redis: RedisHost) -> None:
    private_redis.pause()
    try:
        error = await failure_of(private_redis, retry=None, timeout=0.2)
    finally:
        private_redis.resume()
    assert isinstance(error, RedisFailed)
    assert "Timeout" in str(error)


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        (5, {}, "url is one of redis://"),
        ("mysql://me:hush@host/x", {}, "got 'mysql://host/x'"),
        ("redis://", {}, "url is one of redis://"),
        ("redis://host:port", {}, "this one cannot be read"),
        ("redis://host", {"field": ""}, "field must be the name of the field with the JSON, or None; got ''"),
        ("redis://host", {"of": "dict"}, "of must be a class"),
        ("redis://host", {"of": list, "field": None}, "with field=None an item is a dict or a StreamEntry"),
        ("redis://host", {"start": "last"}, 'start must be "first" or "new"; got \'last\''),
        ("redis://host", {"lost": None}, 'lost must be "fail" or "skip"; got None'),
        ("redis://host", {"batch": 0}, "batch must be a whole number of at least 1; got 0"),
        ("redis://host", {"wait": -1}, "wait must be a number of seconds or a timedelta above 0; got -1"),
        ("redis://host", {"wait": None, "max_age": None}, "a slice must end"),
        ("redis://host", {"retry": 3}, "retry must be a Retry, or None for one attempt; got 3"),
        ("redis://host", {"timeout": 0}, "timeout must be a number of seconds or a timedelta above 0; got 0"),
    ],
)
def test_a_bad_option_is_refused_where_it_is_written(url: Any, options: Any, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        RedisStreamSource(url, "orders", **options)
    assert str(caught.value).startswith("Source 'orders' (tests/unit/test_redis_source.py:")
    assert message in str(caught.value)
    assert "hush" not in str(caught.value)


async def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str) -> None:
        return None

    monkeypatch.setattr("piko_flow.connectors.extras.find_spec", find_nothing)
    with pytest.raises(StageFailed, match=r"it needs redis; .*pip install 'piko-flow\[redis\]'"):
        await RedisStreamSource("redis://127.0.0.1:1", "orders", wait=0).collect()
