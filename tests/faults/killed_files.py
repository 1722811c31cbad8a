"""Work that writes files and is killed: four units become one file, or one each, over the files of the run before.

Or the hours of a day have a file each, which one file for the day replaces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from piko_flow import Sink, Source, run
from piko_flow.connectors.files import (
    CsvSink,
    CsvSource,
    FileTarget,
    JsonLinesSink,
    JsonLinesSource,
    ParquetSink,
    ParquetSource,
)
from piko_flow.dataflow.plan.plan import make_plan
from piko_flow.dataflow.running.run import ActiveRun
from piko_flow.dataflow.running.run_options import RunOptions
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.errors import AlreadyCommitted
from tests.databases.buckets import Bucket
from tests.faults.kept_journal import KeptJournal

UNITS, ROWS = 4, 1500
NAMES = {
    "csv": "rows.csv",
    "csv.gz": "rows.csv.gz",
    "csv-units": "rows-{unit}.csv",
    "jsonl": "rows.jsonl",
    "jsonl-units": "rows-{unit}.jsonl.gz",
    "parquet-units": "rows-{unit}.parquet",
}

HOURS, OF_HOUR = 12, 40
"""The hours of a day, with a file and so many rows each."""
START, HOUR = datetime(2026, 3, 2, tzinfo=UTC), timedelta(hours=1)


def items(turn: int, unit: int) -> Iterator[dict[str, Any]]:
    """The rows of a unit in a turn: every one tells which it is, and none is as long as the next."""
    for number in range(ROWS):
        yield {"turn": turn, "unit": unit, "number": number, "text": "x" * (number % 7)}


def sink_of(kind: str, place: str, store: Any = None) -> FileTarget[Any]:
    """The sink under test; `place` is a folder or the URL of a prefix."""
    path = f"{place}/{NAMES[kind]}"
    sinks: dict[str, Callable[..., FileTarget[Any]]] = {
        "csv": CsvSink,
        "jsonl": JsonLinesSink,
        "parquet": ParquetSink,
    }
    return sinks[kind.partition("-")[0].partition(".")[0]](path, store=store)


def seen(kind: str, place: str, store: Any = None) -> list[tuple[int, int, int]]:
    """What a reader finds at this moment: turn, unit and number of each row, in order; a broken file raises."""
    path = f"{place}/{NAMES[kind].replace('-{unit}', '-*')}"
    sources: dict[str, Callable[..., Source[Any]]] = {
        "csv": CsvSource,
        "jsonl": JsonLinesSource,
        "parquet": ParquetSource,
    }
    source = sources[kind.partition("-")[0].partition(".")[0]](path, store=store)
    found: list[tuple[int, int, int]] = []
    for split in source.resolve_splits() or []:
        for rows in source.items.read_chunks(split, reject=_refuse):
            found += [(int(row["turn"]), int(row["unit"]), int(row["number"])) for row in rows]
    return found


def whole(turn: int, units: Sequence[int] = range(UNITS)) -> list[tuple[int, int, int]]:
    """What a reader finds of a turn that has been committed."""
    return [(turn, unit, number) for unit in units for number in range(ROWS)]


def check_whole(kind: str, found: list[tuple[int, int, int]], turns: Sequence[int]) -> None:
    """Every file is that of one of the turns, whole; where there is one file, all of it is."""
    if "units" not in kind:
        assert found in [whole(turn) for turn in turns], (
            f"{len(found)} rows of {kind} are neither old nor new"
        )
        return
    for unit in range(UNITS):
        of_unit = [row for row in found if row[1] == unit]
        assert of_unit in [whole(turn, [unit]) for turn in turns], (
            f"unit {unit} of {kind} is neither old nor new"
        )


async def write_turn(
    kind: str,
    place: str,
    journal: str,
    turn: int,
    bucket: list[str] | None = None,
    alone: bool = False,
) -> None:
    """Write the files of a turn over those of the one before, which must be there whole until then.

    `alone` says that there was none before.
    """
    store = None if bucket is None else Bucket(*bucket).store()
    kept = KeptJournal(Path(journal))
    if len(kept.positions()) > turn:
        return
    if turn and not alone:
        check_whole(kind, await asyncio.to_thread(seen, kind, place, store), [turn - 1, turn])
    source = Source(partial(items, turn), splits=list(range(UNITS)))
    sink = Sink(sink_of(kind, place, store), batch=100)
    await run(source >> sink, run_id=f"turn-{turn:04}", journal=kept)


def hours_of(kind: str, place: str) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """What a reader finds: by the hours that each file is named for, the hour and number of its rows.

    A broken file raises.
    """
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for file in Path(place).glob(f"[!.]*.{kind}"):
        first, last = [(datetime.fromisoformat(text) - START) // HOUR for text in file.stem.split("_")]
        source = (CsvSource if kind == "csv" else JsonLinesSource)(file)
        rows = found.setdefault((first, last), [])
        for chunk in source.items.read_chunks(str(file), reject=_refuse):
            rows += [(int(row["hour"]), int(row["number"])) for row in chunk]
    return found


def of_hours(first: int, last: int) -> list[tuple[int, int]]:
    """The rows that a file of these hours has when it is whole."""
    return [(hour, number) for hour in range(first, last) for number in range(OF_HOUR)]


async def write_day(kind: str, place: str, journal: str, day: int) -> None:
    """Write a file for each hour of the day, then one for the day, as far as that is not done.

    Before anything else, whatever was killed before: a reader finds each of the hours so far whole, or the day whole
    and beside it hours that are still to be removed, whole as well.
    """
    first, last = day * HOURS, (day + 1) * HOURS
    done = len(KeptJournal(Path(journal)).positions()) - day * (HOURS + 1)
    if done > HOURS:
        return
    found = {span: rows for span, rows in hours_of(kind, place).items() if span[0] >= first}
    assert all(rows == of_hours(*span) for span, rows in found.items()), (
        f"a file of {sorted(found)} is not whole"
    )
    hours = {(hour, hour + 1) for hour in range(first, first + done)}
    assert (first, last) in found or hours <= found.keys(), f"neither the day nor the hours: {sorted(found)}"
    for hour in range(first + done, last):
        await write_window(kind, place, journal, hour, hour + 1)
    await write_window(kind, place, journal, first, last)


async def write_window(kind: str, place: str, journal: str, first: int, last: int) -> None:
    """Write the file of the hours from the first up to (not with) the last, unless that is done."""
    kept, name = KeptJournal(Path(journal)), f"hours-{first:04}-{last:04}"

    def rows() -> Iterator[dict[str, Any]]:
        for hour, number in of_hours(first, last):
            yield {"hour": hour, "number": number, "text": "x" * (number % 7)}

    sink = (CsvSink if kind == "csv" else JsonLinesSink)(f"{place}/{{start}}_{{end}}.{kind}")
    info = RunInfo(name, "hourly", window_start=START + first * HOUR, window_end=START + last * HOUR)
    options = RunOptions(journal=kept, run_id=name, info=info)
    with suppress(AlreadyCommitted):
        decided = await kept.decision(name) is not None
        plan = make_plan(Source(rows) >> Sink(sink, batch=20), options.plan, decided=decided)
        await ActiveRun(plan, options).run()


def _refuse(payload: object, error: Exception) -> None:
    raise error
