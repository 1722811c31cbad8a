"""The SELECT of a user: where its names are, where it ends, and what it is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NoReturn

from piko_flow.connectors.refusing import Refuse

SELECT: Final = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
PARTS: Final = r"""(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`)"""
COMMENTS: Final = r"(?P<comment>--[^\n]*|/\*.*?\*/)"
NAMES: Final = r"(?<![:\w]):(?P<name>[A-Za-z_]\w*)|(?P<end>;)"
TOKEN: Final = re.compile(f"{PARTS}|{COMMENTS}|{NAMES}", re.DOTALL)
# MariaDB and MySQL take a backslash in a text for the sign behind it, and know one more kind of comment.
MYSQL_PARTS: Final = r"""(?P<text>'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*"|`(?:[^`]|``)*`)"""
MYSQL_COMMENTS: Final = r"(?P<comment>--(?=\s|\Z)[^\n]*|\#[^\n]*|/\*.*?\*/)"
MYSQL_TOKEN: Final = re.compile(f"{MYSQL_PARTS}|{MYSQL_COMMENTS}|{NAMES}", re.DOTALL)


def tokens(dialect: str) -> re.Pattern[str]:
    """Finds the texts, comments, `:names` and semicolons of a statement, each a group of that name."""
    return MYSQL_TOKEN if dialect == "mysql" else TOKEN


def checked_select(what: str, values: Mapping[str, object], dialect: str, refuse: Refuse) -> str:
    """The statement without a semicolon at its end. Refuses more than one, and values that are not those it names.

    The name of a table takes no values.
    """
    names: set[str] = set()
    if SELECT.match(what):
        end: int | None = None
        for found in tokens(dialect).finditer(what):
            if found["name"] is not None:
                names.add(found["name"])
            if found["end"] is not None and end is None:
                end = found.start()
        if end is not None:
            _check_rest(what[end:], dialect, refuse)
            what = what[:end]
    if missing := sorted(names - values.keys()):
        _refuse_values(names, f"values has no {', '.join(missing)}", refuse)
    if surplus := sorted(values.keys() - names):
        _refuse_values(names, f"values has also {', '.join(map(str, surplus))}", refuse)
    return what


def _check_rest(rest: str, dialect: str, refuse: Refuse) -> None:
    """Refuse what is more than semicolons, blanks and comments."""
    bare = tokens(dialect).sub(lambda found: found["text"] or found["name"] or "", rest).strip()
    if bare:
        refuse("it reads one SELECT", f"got {bare!r:.80} behind a semicolon", "Make each a source of its own")


def _refuse_values(names: set[str], got: str, refuse: Refuse) -> NoReturn:
    there = (
        f"the :names of the SELECT ({', '.join(sorted(names))})"
        if names
        else "nothing, for there are no :names"
    )
    refuse(f"values are for {there}", got, "Give each name of the SELECT one value, and no other")
