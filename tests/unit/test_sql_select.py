"""A SELECT of a user: its names have their values, its end and its comments are its own affair."""

from __future__ import annotations

from typing import Any

import pytest

from piko_flow import PipelineError
from piko_flow.connectors.sql import SqlChanges, SqlSource
from piko_flow.connectors.sql_facts import positional
from tests.unit.sql_by_hand import Tables, ids, orders

SOME = "SELECT id FROM orders WHERE id > :Least"


@pytest.mark.parametrize("key", [None, "id"])
@pytest.mark.parametrize(
    "end",
    [
        "",
        ";",
        " ; \n",
        " -- all; of them :now",
        "\n-- not 'all'\n",
        "; -- all of them",
        ";/* a; 'b */;",
        "/* :x */",
    ],
)
async def test_a_select_may_end_in_a_semicolon_and_in_comments(
    database_url: str, key: str | None, end: str
) -> None:
    tables = await Tables(database_url).make()
    await tables.fill(*orders(1, 2, 3))
    source = SqlSource(tables.url, SOME + end, rows=tuple, key=key, values={"Least": 1})
    assert sorted(await source.collect()) == [(2,), (3,)]


@pytest.mark.parametrize("key", [None, "id"])
@pytest.mark.parametrize("values", [{}, {"least": 1}], ids=["alone", "with values"])
async def test_what_stands_in_texts_of_a_select_is_left_as_it_is(
    database_url: str, key: str | None, values: dict[str, Any]
) -> None:
    tables = await Tables(database_url).make()
    await tables.fill(*orders(1, customer="a :b; c"), *orders(2, customer="it's % -- :b"), *orders(3))
    more = " AND id > :least" if values else ""
    for told, found in (("'a :b; %'", [1]), ("'it''s \\% -- :b'", [2]), ("'%n%'", [3])):
        escape = "" if tables.url.startswith(("mysql", "postgres")) else " ESCAPE '\\'"
        select = f"SELECT id FROM orders WHERE customer LIKE {told}{escape}{more}"
        source = SqlSource(tables.url, select, rows=tuple, key=key, values=values)
        assert ids(await source.collect()) == [one for one in found if one > values.get("least", 0)]


def test_a_backslash_hides_a_quote_where_the_database_says_so() -> None:
    assert positional(r"SELECT 'it\'s :one', :two # :three", {"two": 2}, "mysql") == (
        r"SELECT 'it\'s :one', %s # :three",
        [2],
    )
    assert positional(r"SELECT '\', :two, ':one'", {"two": 2}, "postgresql") == (
        r"SELECT '\', $1, ':one'",
        [2],
    )


@pytest.mark.parametrize("kind", [SqlSource, SqlChanges])
@pytest.mark.parametrize(
    ("what", "values", "message"),
    [
        (SOME, {}, "values are for the :names of the SELECT (Least); values has no Least"),
        (SOME, {"least": 1}, "values has no Least"),
        (SOME, {"Least": 1, "most": 2}, "values has also most"),
        ("SELECT id FROM orders", {"most": 2}, "there are no :names; values has also most"),
        ("SELECT ':most' FROM orders -- :most", {"most": 2}, "values has also most"),
        ("orders", {"most": 2}, "there are no :names; values has also most"),
        (
            "SELECT 1; DROP TABLE orders",
            {},
            "it reads one SELECT; got 'DROP TABLE orders' behind a semicolon",
        ),
        ("SELECT 1; -- then\nSELECT 2;", {}, "got 'SELECT 2' behind a semicolon"),
    ],
)
def test_values_that_are_not_those_of_the_select_are_refused_where_it_is_written(
    kind: Any, what: str, values: dict[str, Any], message: str
) -> None:
    options = {"column": "id"} if kind is SqlChanges else {}
    with pytest.raises(PipelineError) as caught:
        kind("sqlite:///x.db", what, values=values, **options)
    assert message in str(caught.value)
    assert "test_sql_select.py:" in str(caught.value)
