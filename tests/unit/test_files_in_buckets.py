"""What files promise holds for objects: whole or not there, windows, sweeps, and errors that show no secret."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from piko_flow import Sink, Source, StageFailed, Transform, run, start
from piko_flow.connectors.files import (
    CsvSink,
    CsvSource,
    FileTarget,
    InputNotFound,
    JsonLinesSink,
    JsonLinesSource,
    ObjectStoreFailed,
    OutputRefused,
    ParquetSink,
    ParquetSource,
    PartLost,
)
from piko_flow.dataflow.stages.sink import Part, Receipt
from tests.databases.buckets import SECRET, Bucket, BucketServer
from tests.unit.files_by_hand import prepared


def rows(count: int) -> list[dict[str, int]]:
    return [{"n": number} for number in range(count)]


async def committed(target: FileTarget[Any], items: Sequence[Any], **part: Any) -> list[str]:
    """Write one part and commit it."""
    receipt = await prepared(target, Part("run", "unit", **part), items)
    return await target.commit([Receipt(receipt.part, receipt.items, json.loads(json.dumps(receipt.data)))])


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out-{unit}.jsonl", "deep/down/out.jsonl"])
async def test_units_are_joined_or_have_an_object_each_and_nothing_else_stays(
    bucket: Bucket, name: str
) -> None:
    def read(split: int) -> list[dict[str, int]]:
        return [{"n": split * 100 + number} for number in range(100)]

    sink = JsonLinesSink(f"{bucket.url}/{name}", store=bucket.store)
    await run(Source(read, splits=[0, 1, 2]) >> Sink(sink, batch=30))
    assert bucket.keys() == ([f"out-{unit:05}.jsonl" for unit in range(3)] if "{unit}" in name else [name])
    pattern = f"{bucket.url}/{name.replace('{unit}', '*')}"
    assert await JsonLinesSource(pattern, store=bucket.store).collect() == rows(300)


async def test_parquet_goes_there_and_back(bucket: Bucket) -> None:
    sink = ParquetSink(f"{bucket.url}/out-{{unit}}.parquet", store=bucket.store)
    await run(Source(rows(1000)) >> Sink(sink, batch=100))
    back = ParquetSource(f"{bucket.url}/*.parquet", store=bucket.store)
    assert await back.collect() == rows(1000)


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
async def test_what_is_larger_than_a_piece_is_uploaded_in_pieces_and_appears_at_once(
    bucket: Bucket, name: str
) -> None:
    items = [{"n": number, "text": f"{number * 104729 * 7919:x}" * 20} for number in range(40_000)]
    sink = JsonLinesSink(f"{bucket.url}/{name}", store=bucket.store)
    seen: list[list[str]] = []

    async def look(item: dict[str, Any]) -> dict[str, Any]:
        if item["n"] % 20_000 == 19_999:
            seen.append([key for key in await asyncio.to_thread(bucket.keys) if not key.startswith(".")])
        return item

    await run(Source(items) >> Transform(look) >> Sink(sink, batch=1000))
    assert seen == [[], []]
    assert await JsonLinesSource(f"{bucket.url}/{name}", store=bucket.store).collect() == items
    assert (bucket.keys(), bucket.uploads()) == ([name], [])


async def test_a_run_that_fails_leaves_the_object_of_the_run_before_and_nothing_else(bucket: Bucket) -> None:
    sink = CsvSink(f"{bucket.url}/out.csv", store=bucket.store)
    await run(Source(rows(10)) >> Sink(sink))

    def fail(item: dict[str, int]) -> dict[str, int]:
        if item["n"] == 900:
            raise ValueError("no")
        return item

    with pytest.raises(StageFailed):
        await run(Source(rows(1000)) >> Transform(fail) >> Sink(sink, batch=50))
    assert (bucket.keys(), bucket.uploads()) == (["out.csv"], [])
    assert len(await CsvSource(f"{bucket.url}/out.csv", store=bucket.store).collect()) == 10


async def test_a_cancelled_run_leaves_nothing(bucket: Bucket) -> None:
    reached = asyncio.Event()

    async def stall() -> AsyncIterator[dict[str, str]]:
        for number in range(6000):  # more than a piece, so that an upload is under way
            yield {"n": f"{number * 104729 * 7919:x}" * 100}
        reached.set()
        await asyncio.Event().wait()

    sink = JsonLinesSink(f"{bucket.url}/out.jsonl", store=bucket.store)
    async with start(Source(stall) >> Sink(sink, batch=100)) as active:
        await reached.wait()
        active.cancel()
        assert (await active.wait()).outcome == "cancelled"
    assert (bucket.keys(), bucket.uploads()) == ([], [])


async def test_committing_again_changes_nothing_and_a_part_that_is_gone_is_told(bucket: Bucket) -> None:
    sink = CsvSink(f"{bucket.url}/out.csv", store=bucket.store)
    receipt = await prepared(sink, Part("run", "unit"), rows(5))
    for _ in range(2):
        await sink.commit([receipt])
    assert bucket.keys() == ["out.csv"]
    await committed(sink, rows(7))
    with pytest.raises(PartLost, match="is gone; run again to write it anew"):
        await sink.commit([receipt])


async def test_a_sweep_leaves_live_parts_and_those_of_runs_that_are_held(bucket: Bucket) -> None:
    sink = CsvSink(f"{bucket.url}/out.csv", store=bucket.store)
    live = await prepared(sink, Part("live", "unit"), rows(1))
    await prepared(sink, Part("dead", "unit"), rows(1))
    held = await prepared(sink, Part("held", "unit"), rows(1))
    hold: Any = await sink.lock("held")
    async with hold:
        await sink.sweep([live.part])
        assert not any("~dead" in key for key in bucket.keys())  # noqa: SIM118  # no dict
        await sink.commit([held])
    await sink.commit([live])
    await sink.sweep([])
    assert bucket.keys() == ["out.csv"]


async def test_windows_replace_those_that_lie_inside_them_and_are_refused_across(bucket: Bucket) -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    sink = CsvSink(f"{bucket.url}/lake/{{flow}}/{{start}}_{{end}}.csv", store=bucket.store)

    def hours(first: int, last: int) -> dict[str, Any]:
        return {
            "flow": "orders",
            "window_start": day + timedelta(hours=first),
            "window_end": day + timedelta(hours=last),
        }

    for first in range(3):
        await committed(sink, rows(1), **hours(first, first + 1))
    await committed(sink, rows(1), **hours(0, 2))
    assert bucket.keys() == [
        "lake/orders/20260301T000000Z_20260301T020000Z.csv",
        "lake/orders/20260301T020000Z_20260301T030000Z.csv",
    ]
    with pytest.raises(OutputRefused, match="lies across the bounds"):
        await committed(sink, rows(1), **hours(1, 3))
    assert len(bucket.keys()) == 2


async def test_patterns_match_as_for_files_and_what_matches_nothing_is_an_error(bucket: Bucket) -> None:
    import obstore

    for key in ("in/a.csv", "in/b.csv", "in/c.txt", "in/deep/d.csv", "other/e.csv"):
        obstore.put(bucket.store(), key, b"key\n" + key.encode() + b"\n")

    async def found(pattern: str) -> list[str]:
        source = CsvSource(f"{bucket.url}/{pattern}", store=bucket.store)
        return [row["key"] for row in await source.collect()]

    assert await found("in/*.csv") == ["in/a.csv", "in/b.csv"]
    assert await found("in/[b-z].*") == ["in/b.csv", "in/c.txt"]
    assert await found("in/deep/d.csv") == ["in/deep/d.csv"]
    for nothing in ("in/*.json", "in/none.csv"):
        with pytest.raises(Exception, match=nothing.rpartition("/")[2].replace("*", r"\*")) as caught:
            await found(nothing)
        assert isinstance(caught.value, InputNotFound) or isinstance(caught.value.__cause__, InputNotFound)


async def test_a_bucket_that_is_not_there_is_named_and_no_secret_is_shown(bucket: Bucket) -> None:
    missing = Bucket(bucket.endpoint, "no-such-bucket")
    with pytest.raises(StageFailed) as caught:
        await run(Source(rows(1)) >> Sink(CsvSink(f"{missing.url}/out.csv", store=missing.store)))
    assert isinstance(caught.value.__cause__, ObjectStoreFailed)
    assert "s3://no-such-bucket" in str(caught.value)
    shown = f"{caught.value} {caught.value.__cause__!r} {caught.value.__cause__.__cause__!r}"
    assert SECRET not in shown


async def test_a_store_that_does_not_answer_for_a_while_only_delays_the_run(
    bucket: Bucket, bucket_server: BucketServer
) -> None:
    """The event loop goes on meanwhile."""
    sink = CsvSink(f"{bucket.url}/out.csv", store=bucket.store)
    running = asyncio.create_task(run(Source(rows(1000)) >> Sink(sink, batch=100)))
    bucket_server.pause()
    try:
        for _ in range(100):
            await asyncio.sleep(0)
        assert not running.done()
    finally:
        bucket_server.resume()
    await running
    assert bucket.keys() == ["out.csv"]


@pytest.mark.parametrize(
    ("url", "store", "rule"),
    [
        ("s3://me:hush@bucket/out.csv", None, "an object's URL has no password"),
        ("s3://bucket/a//out.csv", None, "an object's URL is scheme://bucket/key, without empty pieces"),
        ("s3://bucket/../out.csv", None, "an object's URL is scheme://bucket/key, without empty pieces"),
        ("s3://bucket/out.csv", 5, "store must be a store of obstore, or a function that gives one"),
        ("out.csv", 5, "store= is for the URL of an object"),
    ],
)
def test_a_bad_address_is_refused_where_it_is_written(url: str, store: Any, rule: str) -> None:
    with pytest.raises(OutputRefused) as caught:
        CsvSink(url, store=store)
    assert "tests/unit/test_files_in_buckets.py:" in str(caught.value)
    assert rule in str(caught.value)
    assert "hush" not in str(caught.value)
