"""Instants that SQLite keeps as texts are compared where they can be, and refused where rows would be left out."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from piko_flow import PipelineError, Sink, StageFailed, run
from piko_flow.connectors.sql import SqlSource


@pytest.mark.parametrize("second", ["2026-03-02T10:30:00", "2026-03-02T10:30:00Z"])
async def test_instants_of_two_forms_in_one_window_are_refused_and_not_left_out(
    tmp_path: Path, second: str
) -> None:
    file = tmp_path / "mixed.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE moments (id INTEGER PRIMARY KEY, at TEXT)")
        database.execute("INSERT INTO moments VALUES (1, '2026-03-02 10:15:00'), (2, ?)", (second,))
    window = (datetime(2026, 3, 2, 10, tzinfo=UTC), datetime(2026, 3, 2, 11, tzinfo=UTC))
    source = SqlSource(f"sqlite:///{file}", "moments", rows=tuple, key="id", column="at", window=window)
    with pytest.raises(StageFailed, match=r"one form in UTC.*it keeps both '2026-03-02 10:15:00' and"):
        await run(source >> Sink(print))


@pytest.mark.parametrize("kept", ["2026-03-02T10:15:00+02:00", "02.03.2026 10:15", "10:15"])
async def test_instants_that_cannot_be_compared_are_refused(tmp_path: Path, kept: str) -> None:
    file = tmp_path / "odd.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE moments (id INTEGER PRIMARY KEY, at TEXT)")
        database.execute("INSERT INTO moments VALUES (1, ?)", (kept,))
    window = (datetime(2026, 3, 2, 10, tzinfo=UTC), datetime(2026, 3, 2, 11, tzinfo=UTC))
    source = SqlSource(f"sqlite:///{file}", "moments", rows=tuple, key="id", column="at", window=window)
    with pytest.raises(StageFailed, match=re.escape(f"it keeps {kept!r}")):
        await run(source >> Sink(print))


def test_an_at_sign_in_a_password_is_told_without_showing_it() -> None:
    with pytest.raises(PipelineError, match="percent-encoded") as refused:
        SqlSource("mariadb://piko:s@cret@127.0.0.1/shop", "orders", rows=dict)
    assert "cret" not in str(refused.value)
