"""What flows of replicas write outside of the ledger's database, and how a test looks at it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

FILES, DATABASE = "files/{flow}/{start}_{end}.jsonl", Path("elsewhere.db")
ROWS = 200  # of each window


def make_table(folder: Path) -> None:
    """Make the table, empty."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute(
            "CREATE TABLE numbers (flow TEXT, number INTEGER, hour TEXT, PRIMARY KEY (flow, number))"
        )


def written(folder: Path) -> tuple[list[tuple[str, str, int]], dict[str, bytes]]:
    """How many rows each flow has of each window, and every published file with its bytes."""
    counting = "SELECT flow, hour, COUNT(*) FROM numbers GROUP BY flow, hour ORDER BY flow, hour"
    with closing(sqlite3.connect(folder / DATABASE, timeout=30)) as connection:
        rows = connection.execute(counting).fetchall()
    files = (path for path in (folder / "files").rglob("[!.]*") if path.is_file())
    return rows, {str(path.relative_to(folder)): path.read_bytes() for path in files}
