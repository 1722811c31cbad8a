"""What an open spool takes without reading its file, and what it has to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from piko_flow.connectors.spool_file import Origin, Row, SpoolFile
from piko_flow.connectors.spool_items import Kept
from piko_flow.connectors.spool_shelf import Recent
from tests.unit.spooling import Place, spool


def row(number: int, *, items: int = 1, size: int = 10, run: str = "1") -> Row:
    return Row(number, Kept("plain", b"x" * size, items), Origin(run=run), 0.0)


def numbers(rows: list[Row] | None) -> list[int] | None:
    return None if rows is None else [one.number for one in rows]


def test_lists_are_given_after_any_number_up_to_so_many_items() -> None:
    recent = Recent(after=0)
    for number in range(1, 7):
        recent.add(row(number, items=2))
    assert numbers(recent.next(0, items=4, alike=False)) == [1, 2]
    assert numbers(recent.next(0, items=1, alike=False)) == [1]
    assert numbers(recent.next(3, items=100, alike=False)) == [4, 5, 6]
    assert numbers(recent.next(6, items=100, alike=False)) == []
    recent.add(row(9))  # numbers have gaps where something that failed was kept
    assert numbers(recent.next(6, items=100, alike=False)) == [9]


def test_lists_of_one_origin_alone_are_given_where_that_is_asked_for() -> None:
    recent = Recent(after=0)
    for number, run in enumerate("aab", start=1):
        recent.add(row(number, run=run))
    assert numbers(recent.next(0, items=9, alike=True)) == [1, 2]
    assert numbers(recent.next(0, items=9, alike=False)) == [1, 2, 3]


def test_what_is_not_held_any_more_has_to_be_read() -> None:
    recent = Recent(after=0)
    for number in (1, 2, 3):
        recent.add(row(number))
    assert numbers(recent.next(2, items=9, alike=False)) == [3]
    assert recent.next(0, items=9, alike=False) is None  # lists that were put back
    assert numbers(recent.next(2, items=9, alike=False)) == [3]
    assert Recent().next(0, items=9, alike=False) is None  # of a file that somebody else began


def test_of_many_bytes_none_is_held_until_all_of_them_were_taken() -> None:
    recent = Recent(after=0)
    for number in range(1, 5):
        recent.add(row(number, size=1_500_000))
    recent.add(row(5, size=1_500_000))
    assert recent.next(0, items=9, alike=False) is None
    assert recent.next(2, items=9, alike=False) is None
    assert numbers(recent.next(3, items=9, alike=False)) == [4, 5]


@pytest.mark.parametrize(("lists", "reads"), [(3, False), (30, True)])
async def test_a_file_is_read_only_where_the_sink_is_far_behind(
    lists: int, reads: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, rows_after = list[int](), SpoolFile.rows_after

    def noted(self: SpoolFile, number: int, *, items: int, alike: bool = False) -> list[Row]:
        read.append(number)
        return rows_after(self, number, items=items, alike=alike)

    monkeypatch.setattr(SpoolFile, "rows_after", noted)
    given = [f"{number}" * 300_000 for number in range(lists)]
    place = Place(gated=True)
    async with spool(place, tmp_path, batch=2).opened() as live:
        for one in given:
            await live.accept([one])
        place.gate.set()
        await place.has(lists)
    assert place.items == given
    assert bool(read) is reads
