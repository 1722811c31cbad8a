"""What a run holds of its dead letters."""

from __future__ import annotations

from typing import Any

import pytest

from piko_flow import MemoryJournal, Transform, run
from piko_flow.dataflow.stages.stage_options import OnError
from piko_flow.testing import CollectingSink, items
from tests.runs import failure


def refuse(item: int) -> int:
    raise ValueError("long " * 1000)


async def test_a_thousand_dead_letters_are_held_whatever_the_number_of_units_and_all_are_counted() -> None:
    held: list[int] = []

    class Counting(MemoryJournal):
        async def record(self, run: str, fingerprint: str, result: Any) -> None:
            held.append(len(result.dead_letters))
            await super().record(run, fingerprint, result)

    stage = Transform(refuse, on_error="dead_letter")
    report = await run(items(2400, units=3) >> stage >> CollectingSink(), journal=Counting())
    assert held == [800, 200, 0]
    assert (len(report.dead_letters), report.dead) == (1000, 2400)


async def test_the_text_of_a_dead_letter_is_cut() -> None:
    report = await run(items(1) >> Transform(refuse, on_error="dead_letter") >> CollectingSink())
    (letter,) = report.dead_letters
    assert letter.error.startswith("ValueError: long long")
    assert len(letter.error) == 1000


@pytest.mark.parametrize("policy", ["dead_letter", "fail"])
async def test_an_error_without_words_is_told_all_the_same(policy: OnError) -> None:
    class Mute(ValueError):
        def __str__(self) -> str:
            raise KeyError("no words")

    def refuse_mutely(item: int) -> int:
        raise Mute

    pipeline = items(2) >> Transform(refuse_mutely, on_error=policy, name="work") >> CollectingSink()
    if policy == "fail":
        await failure(pipeline, match="Mute: <its message raised KeyError>")
    else:
        report = await run(pipeline)
        assert [letter.error for letter in report.dead_letters] == ["Mute: <its message raised KeyError>"] * 2
