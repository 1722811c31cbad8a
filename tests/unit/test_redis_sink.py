"""Writing a Redis stream: what an item becomes, when it is seen, that it is there once, and what stays behind."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from piko_flow import Retry, Sink, Source, StageFailed, Transform, run, start
from piko_flow.connectors.redis_scripts import MOVE
from piko_flow.connectors.redis_server import RedisClient
from piko_flow.connectors.redis_streams import EntriesGone, RedisFailed, RedisStreamSink
from piko_flow.dataflow.stages.sink import Part, Receipt
from piko_flow.errors import PipelineError
from tests.databases.redis import PASSWORD, RedisHost


class Order(BaseModel):
    number: int
    at: datetime = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Place:
    city: str
    people: int | None = None


def entries(host: RedisHost, stream: str = "orders") -> list[dict[str, str]]:
    """The fields of every entry, in order."""
    told = json.loads(host.client("--json", "XRANGE", stream, "-", "+"))
    return [dict(zip(fields[::2], fields[1::2], strict=True)) for _, fields in told]


def values(host: RedisHost, stream: str = "orders") -> list[Any]:
    """The JSON of every entry, in order."""
    return [json.loads(fields["json"]) for fields in entries(host, stream)]


def sink_of(host: RedisHost, **options: Any) -> RedisStreamSink:
    return RedisStreamSink(host.url(), "orders", **options)


async def written(host: RedisHost, items: list[Any], batch: int = 100, **options: Any) -> None:
    await run(Source(items) >> Sink(sink_of(host, **options), batch=batch))


def rows(count: int) -> list[dict[str, int]]:
    return [{"n": number} for number in range(count)]


@pytest.mark.parametrize("batch", [1, 7, 5000])
async def test_items_are_entries_in_their_order(redis: RedisHost, batch: int) -> None:
    items = rows(2500 if batch > 1 else 50)
    report = await run(Source(items) >> Sink(sink_of(redis), batch=batch))
    assert report.written == (f"orders: {len(items):,} entries",)
    assert values(redis) == items


async def test_models_dataclasses_and_other_values_are_json(redis: RedisHost) -> None:
    await written(redis, [Order(number=1), Place("Łódź"), [1, "two"], "text", 2.5])
    assert values(redis) == [
        {"number": 1, "at": "2026-03-01T00:00:00Z"},
        {"city": "Łódź", "people": None},
        [1, "two"],
        "text",
        2.5,
    ]


async def test_fields_of_their_own_are_text_and_none_is_left_out(redis: RedisHost) -> None:
    item = {
        "n": 2**70,
        "x": 0.1,
        "yes": True,
        "day": date(2026, 3, 1),
        "cost": Decimal("1E+2"),
        "id": UUID(int=5),
        "nothing": None,
        "text": 'ü"\n',
    }
    await written(redis, [item, Place("Rome", 3), Place("Oslo")], field=None)
    assert entries(redis) == [
        {
            "n": "1180591620717411303424",
            "x": "0.1",
            "yes": "true",
            "day": "2026-03-01",
            "cost": "100",
            "id": str(UUID(int=5)),
            "text": 'ü"\n',
        },
        {"city": "Rome", "people": "3"},
        {"city": "Oslo"},
    ]


@pytest.mark.parametrize(
    ("item", "options", "reason"),
    [
        ({"a": b"x"}, {}, "a value of type bytes cannot be written without loss"),
        ({"a": float("nan")}, {}, "a: JSON has no nan"),
        ({"a": [1]}, {"field": None}, "field 'a': a value of type list cannot be written without loss"),
        ({"a": None}, {"field": None}, "an entry needs a field that is not None"),
        ({1: 2}, {"field": None}, "the name of a field must be text, got 1"),
        (5, {"field": None}, "a row is a dict, a model or a dataclass, got int"),
        ({"a": 1}, {"key": "id"}, "it has no key: there is no 'id'; it has a"),
        ({"id": None}, {"key": "id"}, "its key must be a text or a number, got none"),
        ({"id": [1]}, {"key": "id"}, "a value of type list cannot be written without loss"),
    ],
)
async def test_an_item_that_cannot_be_written_is_a_dead_letter_and_the_others_are_written(
    redis: RedisHost, item: Any, options: Any, reason: str
) -> None:
    good = [{"id": 1}, item, {"id": 2}]
    sink = Sink(sink_of(redis, **options), batch=3, on_error="dead_letter")
    report = await run(Source(good) >> sink, max_errors=1)
    assert len(entries(redis)) == 2
    assert reason in report.dead_letters[0].error


async def test_nothing_is_seen_before_the_commit_and_nothing_stays_of_a_run_that_fails(
    redis: RedisHost,
) -> None:
    looked: list[str] = []

    def fail_at_the_end(item: dict[str, int]) -> dict[str, int]:
        if item["n"] == 250:
            looked.append(redis.client("EXISTS", "orders"))
            raise ValueError("no")
        return item

    with pytest.raises(StageFailed):
        await run(Source(rows(300)) >> Transform(fail_at_the_end) >> Sink(sink_of(redis), batch=10))
    assert looked == ["0"]
    assert redis.names() == []


async def test_a_cancelled_run_leaves_nothing(redis: RedisHost) -> None:
    reached = asyncio.Event()

    async def stall(item: dict[str, int]) -> dict[str, int]:
        if item["n"] == 50:
            reached.set()
            await asyncio.Event().wait()
        return item

    async with start(Source(rows(100)) >> Transform(stall) >> Sink(sink_of(redis), batch=10)) as active:
        await reached.wait()
        active.cancel()
        assert (await active.wait()).outcome == "cancelled"
    assert redis.names() == []


async def test_units_follow_one_another_in_the_stream(redis: RedisHost) -> None:
    def read(split: int) -> list[dict[str, int]]:
        return [{"n": split * 1000 + number} for number in range(1500)]

    await run(Source(read, splits=[0, 2, 4]) >> Sink(sink_of(redis), batch=100))
    assert [value["n"] for value in values(redis)] == [
        n for split in (0, 2, 4) for n in range(split * 1000, split * 1000 + 1500)
    ]


async def prepared(sink: RedisStreamSink, items: list[Any], run: str = "run", number: int = 0) -> Receipt:
    """Write a part in batches of 100, and give its receipt as a ledger keeps it."""
    await sink.open(Part(run, "unit", number=number))
    for first in range(0, len(items), 100):
        await sink.write(items[first : first + 100])
    receipt = await sink.prepare()
    return Receipt(receipt.part, receipt.items, json.loads(json.dumps(receipt.data)))


async def test_a_commit_that_is_repeated_adds_nothing(redis: RedisHost) -> None:
    receipt = await prepared(sink_of(redis), rows(2300))
    for _ in range(3):
        await sink_of(redis).commit([receipt])
    assert values(redis) == rows(2300)


@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_commit_that_was_cut_off_moves_the_rest(
    redis: RedisHost, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    receipt = await prepared(sink_of(redis), rows(2300))
    moved = 0
    script = RedisClient.script

    async def cut_off(self: RedisClient, text: str, keys: list[str], arguments: list[Any]) -> Any:
        nonlocal moved
        if text is MOVE:
            moved += 1
            if moved > pieces:
                raise RedisFailed("server", "run a script", "gone")
        return await script(self, text, keys, arguments)

    with monkeypatch.context() as patched:
        patched.setattr(RedisClient, "script", cut_off)
        with pytest.raises(RedisFailed):
            await sink_of(redis).commit([receipt])
    assert len(values(redis)) == pieces * 1000
    await sink_of(redis).commit([receipt])
    assert values(redis) == rows(2300)


async def test_large_items_are_moved_in_small_pieces(
    redis: RedisHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = await prepared(sink_of(redis), [{"n": number, "x": "x" * 900_000} for number in range(20)])
    script, moved = RedisClient.script, list[int]()

    async def counted(self: RedisClient, text: str, keys: list[str], arguments: list[Any]) -> Any:
        answer = await script(self, text, keys, arguments)
        if text is MOVE:
            moved.append(answer[0])
        return answer

    monkeypatch.setattr(RedisClient, "script", counted)
    await sink_of(redis).commit([receipt])
    assert moved == [4, 8, 12, 16, 20]
    assert [value["n"] for value in values(redis)] == list(range(20))


async def test_a_command_whose_answer_was_lost_is_sent_again_and_counts_once(redis: RedisHost) -> None:
    """Every script is sent twice, as after an answer that did not arrive."""
    from redis.commands.core import AsyncScript

    once = AsyncScript.__call__
    try:

        async def twice(self: Any, *given: Any, **options: Any) -> Any:
            await once(self, *given, **options)
            return await once(self, *given, **options)

        AsyncScript.__call__ = twice  # type: ignore[method-assign]
        await written(redis, rows(2300))
    finally:
        AsyncScript.__call__ = once  # type: ignore[method-assign]
    assert values(redis) == rows(2300)


async def test_of_a_part_that_is_not_whole_nothing_is_moved(redis: RedisHost) -> None:
    receipt = await prepared(sink_of(redis), rows(2300))
    redis.client("RPOP", receipt.data["list"])
    with pytest.raises(EntriesGone) as caught:
        await sink_of(redis).commit([receipt])
    assert str(caught.value).endswith("2,299 of its 2,300 items are there; run again to write it anew")
    assert redis.client("EXISTS", "orders") == "0"


async def test_a_part_that_vanishes_while_it_is_written_is_told(redis: RedisHost) -> None:
    sink = sink_of(redis)
    await sink.open(Part("run", "unit"))
    await sink.write(rows(10))
    redis.client("FLUSHALL")
    with pytest.raises(EntriesGone, match="it has 0 elements instead of 10"):
        await sink.write(rows(10))
    await sink.abort()


async def test_a_stream_that_is_another_kind_of_key_is_told_and_the_part_stays_whole(
    redis: RedisHost,
) -> None:
    redis.client("SET", "orders", "x")
    receipt = await prepared(sink_of(redis), rows(5))
    with pytest.raises(RedisFailed, match="WRONGTYPE the key holds a string"):
        await sink_of(redis).commit([receipt])
    redis.client("DEL", "orders")
    await sink_of(redis).commit([receipt])
    assert values(redis) == rows(5)


async def test_a_sweep_removes_dead_parts_and_leaves_those_that_are_live_or_held(redis: RedisHost) -> None:
    sink = sink_of(redis)
    live = await prepared(sink_of(redis), rows(3), run="live")
    await prepared(sink_of(redis), rows(3), run="live", number=1)
    dead = await prepared(sink_of(redis), rows(3), run="dead")
    held = await prepared(sink_of(redis), rows(3), run="held")
    await prepared(sink_of(redis, owner="other"), rows(3), run="dead")
    async with await sink.lock("held"):
        await sink.sweep([live.part])
        lists = [key for key in redis.names() if "~part~" in key]
        assert lists == sorted(
            [held.data["list"], live.data["list"], dead.data["list"].replace("~~part", "~other~part")]
        )
        with pytest.raises(EntriesGone):
            await sink_of(redis).commit([dead])
    await sink.sweep([live.part])
    assert held.data["list"] not in redis.names()
    await sink_of(redis).commit([live])
    assert values(redis) == rows(3)


async def test_what_fails_while_a_run_is_held_keeps_its_own_error(redis: RedisHost) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with await sink_of(redis).lock("run"):
            raise KeyError("mine")
    assert redis.names() == []


async def test_of_two_items_with_one_key_the_first_is_written_in_one_run_and_over_several(
    redis: RedisHost,
) -> None:
    await written(redis, [{"id": 1, "v": 1}, {"id": 2, "v": 1}, {"id": 1, "v": 2}], key="id")
    await written(redis, [{"id": 2, "v": 3}, {"id": 3, "v": 3}], key="id")
    assert [(one["id"], one["v"]) for one in values(redis)] == [(1, 1), (2, 1), (3, 3)]


async def test_a_key_is_forgotten_after_its_time(redis: RedisHost) -> None:
    def key(item: dict[str, int]) -> str:
        return f"order {item['id']}"

    await written(redis, [{"id": 1}], key=key, remember=timedelta(hours=2))
    assert 7_000 < int(redis.client("TTL", "orders~key~order 1")) <= 7_200
    redis.client("DEL", "orders~key~order 1")
    await written(redis, [{"id": 1}], key=key)
    assert len(values(redis)) == 2


async def test_the_stream_is_trimmed_to_about_its_length(redis: RedisHost) -> None:
    await written(redis, rows(5000), maxlen=1000)
    assert 1000 <= int(redis.client("XLEN", "orders")) <= 1200
    assert values(redis)[-1] == {"n": 4999}


async def test_what_a_run_leaves_besides_the_stream_expires(redis: RedisHost) -> None:
    await written(redis, rows(10))
    left = [key for key in redis.names() if key != "orders"]
    assert len(left) == 1
    assert int(redis.client("TTL", left[0])) > 0


async def test_a_server_that_is_away_fails_the_run_and_is_named_without_its_password() -> None:
    url = f"redis://:{PASSWORD}@127.0.0.1:1/0"
    sink = RedisStreamSink(url, "orders", retry=Retry(attempts=2, first=0))
    with pytest.raises(StageFailed) as caught:
        await run(Source(rows(1)) >> Sink(sink))
    assert isinstance(caught.value.__cause__, RedisFailed)
    shown = f"{caught.value} {caught.value.__cause__!r} {sink!r}"
    assert "redis://127.0.0.1:1/0" in shown
    assert PASSWORD not in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "http://x"}, "url is one of redis://"),
        ({"stream": ""}, "stream must be a name; got ''"),
        ({"field": 3}, "field must be a name; got 3"),
        ({"key": 3}, "key must be the path of a field, or a function; got 3"),
        ({"key": lambda: 1}, "the function for key is called with one item"),
        ({"remember": 60}, "remember must be a timedelta above 0; got 60"),
        ({"maxlen": 0}, "maxlen must be a whole number of at least 1; got 0"),
        ({"owner": None}, "owner must be a text; got None"),
        ({"timeout": True}, "timeout must be a number of seconds or a timedelta above 0; got True"),
    ],
)
def test_a_bad_option_is_refused_where_it_is_written(options: Any, message: str) -> None:
    given = {"url": "redis://host", "stream": "orders", **options}
    with pytest.raises(PipelineError) as caught:
        RedisStreamSink(given.pop("url"), given.pop("stream"), **given)
    assert str(caught.value).startswith("RedisStreamSink '")
    assert "tests/unit/test_redis_sink.py:" in str(caught.value)
    assert message in str(caught.value)
