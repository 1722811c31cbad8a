"""Numbers agree with their nouns."""

from __future__ import annotations

import pytest

from piko_flow.counting import counted


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
