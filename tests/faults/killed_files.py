"""Work that writes files and is killed: four units become one file, or one each, over the files of the run before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
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


def _refuse(payload: object, error: Exception) -> None:
    raise error
