"""Numbers agree with their nouns."""

from __future__ import annotations

import re

import pytest

from piko_flow.counting import are, counted
from tests.architecture.checkout import ROOT

BESIDE = re.compile(r"""["']is["'] if .*? else ["']are["']""")


@pytest.mark.parametrize(
    ("number", "thing", "things", "told"),
    [
        (0, "window", "", "0 windows"),
        (1, "window", "", "1 window"),
        (2, "window", "", "2 windows"),
        (1234, "run", "", "1,234 runs"),
        (1, "stretch", "stretches", "1 stretch"),
        (3, "stretch", "stretches", "3 stretches"),
    ],
)
def test_a_number_agrees_with_its_noun(number: int, thing: str, things: str, told: str) -> None:
    assert counted(number, thing, things) == told


@pytest.mark.parametrize(("number", "told"), [(0, "are"), (1, "is"), (2, "are")])
def test_a_verb_agrees_with_its_number(number: int, told: str) -> None:
    assert are(number) == told


def test_no_sentence_finds_out_by_itself_whether_it_says_is_or_are() -> None:
    written = [path for end in ("py", "html") for path in (ROOT / "piko_flow").rglob(f"*.{end}")]
    found = {path.name for path in written if BESIDE.search(path.read_text(encoding="utf-8"))}
    assert found == {"counting.py"}
