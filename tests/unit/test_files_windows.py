"""Files named by window and flow: which a run replaces, which it removes, and which it refuses to touch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Sink, Source, StageFailed, run
from piko_flow.connectors.files import CsvSink, FileTarget, JsonLinesSink, OutputRefused
from piko_flow.dataflow.stages.sink import Part, Receipt
from tests.unit.files_by_hand import hidden, names, prepared

DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAME = "{start}_{end}.jsonl"


def part(start: float, end: float, *, flow: str = "orders", number: int = 0, units: int = 1) -> Part:
    """A part of a run over some hours of the day."""
    return Part(
        f"run-{start:g}-{end:g}-{flow}".replace("/", "-"),
        f"unit{number}",
        number=number,
        units=units,
        flow=flow,
        window_start=DAY + start * HOUR,
        window_end=DAY + end * HOUR,
    )


async def written(target: FileTarget[Any], *parts: Part, items: Sequence[Any] = ({"n": 1},)) -> list[str]:
    """Write a part each and commit them."""
    receipts = [await prepared(target, one, items) for one in parts]
    told = [Receipt(one.part, one.items, json.loads(json.dumps(one.data))) for one in receipts]
    return await target.commit(told)


def hour(start: int, end: int) -> str:
    """The name of the file of these hours."""
    return f"20260301T{start:02}0000Z_20260301T{end:02}0000Z.jsonl"


async def test_each_window_has_a_file_of_its_own_and_the_same_window_replaces_it(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / NAME)
    lines = await written(sink, part(0, 1))
    assert lines == [f"{tmp_path}/{hour(0, 1)}: 1 row, 8 B"]
    await written(sink, part(1, 2))
    await written(sink, part(0, 1), items=[{"n": 2}])
    assert names(tmp_path) == [hour(0, 1), hour(1, 2)]
    assert (tmp_path / hour(0, 1)).read_text() == '{"n":2}\n'


async def test_moments_are_written_in_utc_and_as_exactly_as_they_are(tmp_path: Path) -> None:
    start = datetime(2026, 3, 1, 1, 30, 0, 250, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    one = Part("run", "unit", flow="orders", window_start=start, window_end=start + HOUR)
    await written(JsonLinesSink(tmp_path / NAME), one)
    assert names(tmp_path) == ["20260228T200000.000250Z_20260228T210000.000250Z.jsonl"]


async def test_a_run_removes_the_files_whose_windows_lie_inside_its_own(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / NAME)
    for start in range(5):
        await written(sink, part(start, start + 1))
    lines = await written(sink, part(1, 4))
    assert names(tmp_path) == [hour(0, 1), hour(1, 4), hour(4, 5)]
    assert lines == [f"{tmp_path}/{hour(1, 4)}: 1 row, 8 B; 3 files of an earlier run removed"]


@pytest.mark.parametrize(("start", "end"), [(0, 2), (2, 4), (1.5, 2.5)])
async def test_a_window_that_a_file_lies_across_is_refused_before_anything_is_written(
    tmp_path: Path, start: float, end: float
) -> None:
    sink = JsonLinesSink(tmp_path / NAME)
    await written(sink, part(1, 3))
    before = (tmp_path / hour(1, 3)).read_bytes()
    with pytest.raises(OutputRefused) as caught:
        await prepared(sink, part(start, end), [{"n": 2}])
    assert f"{hour(1, 3)} lies across the bounds of" in str(caught.value)
    assert names(tmp_path) == [hour(1, 3)]
    assert (tmp_path / hour(1, 3)).read_bytes() == before


async def test_a_file_that_comes_across_between_writing_and_committing_is_refused(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / NAME)
    receipt = await prepared(sink, part(0, 2), [{"n": 1}])
    await written(sink, part(1, 3))
    with pytest.raises(OutputRefused, match="lies across the bounds"):
        await sink.commit([receipt])
    assert [name for name in names(tmp_path) if not name.startswith(".")] == [hour(1, 3)]


async def test_a_commit_that_is_repeated_finds_what_it_has_done(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / NAME)
    await written(sink, part(1, 2))
    receipt = await prepared(sink, part(0, 3), [{"n": 1}])
    for _ in range(2):
        await sink.commit([receipt])
    assert names(tmp_path) == [hour(0, 3)]


async def test_flows_that_share_a_folder_leave_each_others_files_alone(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / f"{{flow}}-{NAME}")
    for flow in ("orders", "orders-eu"):
        for start in (0, 1):
            await written(sink, part(start, start + 1, flow=flow))
    await written(sink, part(0, 2, flow="orders"))
    assert names(tmp_path) == [
        f"orders-{hour(0, 2)}",
        f"orders-eu-{hour(0, 1)}",
        f"orders-eu-{hour(1, 2)}",
    ]


async def test_a_flow_may_have_a_folder_of_its_own(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / "{flow}" / NAME)
    for start in (0, 1):
        await written(sink, part(start, start + 1, flow="a/b c"))
    await written(sink, part(0, 2, flow="a/b c"))
    assert names(tmp_path) == ["a%2Fb%20c"]
    assert names(tmp_path / "a%2Fb%20c") == [hour(0, 2)]


async def test_windows_and_units_together_are_replaced_as_one(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / "{start}_{end}-{unit}.jsonl")
    stem = hour(0, 1).removesuffix(".jsonl")
    await written(sink, *(part(0, 1, number=number, units=3) for number in range(3)))
    assert names(tmp_path) == [f"{stem}-{number:05}.jsonl" for number in range(3)]
    await written(sink, *(part(0, 1, number=number, units=2) for number in range(2)))
    assert names(tmp_path) == [f"{stem}-{number:05}.jsonl" for number in range(2)]
    await written(sink, part(0, 2))
    assert names(tmp_path) == [f"{hour(0, 2).removesuffix('.jsonl')}-00000.jsonl"]


async def test_other_files_of_the_folder_stay(tmp_path: Path) -> None:
    others = ["notes.jsonl", "20260301T000000Z.jsonl", "20261301T000000Z_20261301T010000Z.jsonl"]
    for name in others:
        (tmp_path / name).write_text("mine")
    await written(JsonLinesSink(tmp_path / NAME), part(0, 24))
    assert set(others) < set(names(tmp_path))
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (NAME, "{start} and {end} stand for the window of the run, which has none"),
        ("{flow}.jsonl", "{flow} stands for the flow of the run, which has none"),
    ],
)
async def test_a_run_without_window_or_flow_is_refused_where_the_name_needs_one(
    tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(StageFailed) as caught:
        await run(Source([{"n": 1}]) >> Sink(JsonLinesSink(tmp_path / name)))
    assert isinstance(caught.value.__cause__, OutputRefused)
    assert reason in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("{start}.csv", "{start} and {end} stand in a name together"),
        ("{start}-{start}-{end}.csv", "{start} may stand in the name once"),
        ("{start}/{end}.csv", "{start} may stand in the name of the file only"),
        ("{strat}-{end}.csv", "what a path fills in is {unit}, {start}, {end} or {flow}; got {strat} in"),
    ],
)
def test_a_name_that_says_too_little_is_refused_where_it_is_written(name: str, rule: str) -> None:
    with pytest.raises(OutputRefused) as caught:
        CsvSink(name)
    assert str(caught.value).startswith(
        f"CsvSink {name.rpartition('/')[2]!r} (tests/unit/test_files_windows.py:"
    )
    assert rule in str(caught.value)
