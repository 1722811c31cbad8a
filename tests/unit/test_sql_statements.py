"""Texts with names become what each driver takes, and rows become values in the order that it wants them."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta, timezone

import pytest

from piko_flow.store.sql.dialects import DIALECTS, Columns
from piko_flow.store.sql.statements import moment_text, statement
from piko_flow.store.sql.store import PARTS

MARKS = {"sqlite": "?", "mysql": "%s", "postgresql": "$"}
COLUMNS: Columns = {"run_id": "int", "reason": "word"}


@pytest.mark.parametrize(
    ("mark", "sql"),
    [
        ("?", "SELECT ? WHERE a = ? AND b = ?"),
        ("%s", "SELECT %s WHERE a = %s AND b = %s"),
        ("$", "SELECT $1 WHERE a = $2 AND b = $3"),
    ],
)
def test_a_name_used_twice_is_bound_twice(mark: str, sql: str) -> None:
    made = statement("SELECT :one WHERE a = :two AND b = :one", mark)
    assert (made.sql, made.names) == (sql, ("one", "two", "one"))


def test_casts_and_offsets_are_no_names() -> None:
    made = statement("SELECT '+00:00', CAST(:rows AS text)::jsonb", "$")
    assert (made.sql, made.names) == ("SELECT '+00:00', CAST($1 AS text)::jsonb", ("rows",))


def test_a_percent_sign_is_doubled_only_for_the_driver_that_reads_it() -> None:
    assert [statement("LIKE 'a%'", mark).sql for mark in MARKS.values()] == [
        "LIKE 'a%'",
        "LIKE 'a%%'",
        "LIKE 'a%'",
    ]


@pytest.mark.parametrize("name", MARKS)
def test_no_placeholder_is_left_in_a_statement(name: str) -> None:
    text = "{now} {later} {at} {join} {live} {live_of_flow} {lock} {skip_locked}"
    assert "{" not in DIALECTS[name].statement(text).sql


@pytest.mark.parametrize("name", MARKS)
def test_the_text_for_one_row_is_the_text_for_a_thousand(name: str) -> None:
    dialect = DIALECTS[name]
    made = dialect.update_from(
        "t", COLUMNS, on="t.run_id = j.run_id", sets={"reason": "j.reason"}, where="t.x = 1"
    )
    if made.each:
        assert made.names == ("reason", "run_id")
    else:
        assert made.names == ("rows",)
        rows = [{"reason": "why", "run_id": 1}] * 1000
        assert dialect.rows_text(made.columns, rows).count("why") == 1000


def test_rows_given_in_another_order_of_their_columns_mean_the_same() -> None:
    for name in ("sqlite", "mysql"):
        text = DIALECTS[name].rows_text(tuple(COLUMNS), [{"reason": "why", "run_id": 1}])
        assert text == '[[1,"why"]]'


def test_instants_are_text_in_utc_with_six_digits_whatever_their_zone() -> None:
    noon = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert moment_text(noon) == "2026-03-28 12:00:00.000000"
    assert moment_text(noon.astimezone(timezone(timedelta(hours=5, minutes=30)))) == moment_text(noon)
    assert moment_text(noon + timedelta(microseconds=7)) == "2026-03-28 12:00:00.000007"


def test_the_parts_of_the_store_do_not_overwrite_each_others_statements() -> None:
    assigned: dict[str, str] = {}
    for part in PARTS:
        for kind in reversed(part.__mro__[:-1]):
            for line in inspect.getsource(kind).splitlines():
                before, equals, _ = line.strip().partition(" = ")
                before = before.partition(":")[0]  # without an annotation
                names = before.split(", ") if equals and before.startswith("self._") else []
                for name in (name.removeprefix("self.") for name in names):
                    owner = assigned.setdefault(name, kind.__name__)
                    assert name == "_database" or owner == kind.__name__, (
                        f"{name} in {owner} and {kind.__name__}"
                    )
    assert len(assigned) > 40
