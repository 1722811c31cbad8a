"""Dead letters on pages: items as people write them, and a replay where there can be one."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from piko_flow.control.payload import encode_payload
from piko_flow.control.plane_dead_letters import WhichLetters
from piko_flow.ops.console.shown_items import LONGEST, PARSED, of_failure, shown_item
from tests.unit.api_worlds import PlaneProcess
from tests.unit.dead_letter_worlds import World, over
from tests.unit.test_console_answers import client
from tests.unit.test_console_runs import words


class Odd:
    """Something that JSON cannot hold."""

    def __repr__(self) -> str:
        return "an <odd> thing"


@dataclass
class Order:
    """An order."""

    number: int
    customer: str


SHOWN = [
    ("a text <b>", "a text <b>", True),
    ('{"value": 1}', '{"value": 1}', True),
    (7, "7", True),
    (None, "null", True),
    ({"né": [1, 2.5]}, '{\n  "né": [\n    1,\n    2.5\n  ]\n}', True),
    (Order(7, "Ada"), '{\n  "number": 7,\n  "customer": "Ada"\n}', True),
    ([Order(7, "Ada")], '[\n  {\n    "number": 7,\n    "customer": "Ada"\n  }\n]', True),
    (Odd(), "an <odd> thing", False),
]


@pytest.mark.parametrize(("item", "text", "whole"), SHOWN, ids=lambda one: repr(one)[:20])
def test_an_item_is_shown_as_one_writes_it(item: Any, text: str, *, whole: bool) -> None:
    shown = shown_item(encode_payload(item))
    assert (shown.text, shown.whole, shown.cut) == (text, whole, False)


@pytest.mark.parametrize(
    ("kept", "text", "whole"),
    [
        ('{"name": "**********"}', '{\n  "name": "**********"\n}', True),
        ("Order(number=7)", "Order(number=7)", False),
        ("[" * 5000, "[" * 5000, False),
    ],
    ids=["some hidden", "as Python shows it", "deep"],
)
def test_the_item_of_a_failure_says_whether_it_is_only_how_python_shows_it(
    kept: str, text: str, *, whole: bool
) -> None:
    assert (of_failure(kept).text, of_failure(kept).whole) == (text, whole)


@pytest.mark.parametrize("payload", ["no JSON", "[" * 5000, "[1]", '{"type": "int"}', ""])
def test_what_is_no_payload_is_shown_as_it_is(payload: str) -> None:
    assert (shown_item(payload).text, shown_item(payload).whole) == (payload, False)


def test_a_large_item_is_cut_and_says_so() -> None:
    for size in (LONGEST + 1, PARSED + 1):
        shown = shown_item(json.dumps({"type": "str", "value": "a" * size}, separators=(",", ":")))
        assert (len(shown.text), shown.cut, shown.whole) == (LONGEST, True, True)
        assert len(shown.in_line(160)) == 160
    assert shown_item(encode_payload({"a": 1})).in_line(160) == '{ "a": 1 }'


def refuse(item: Any) -> Any:
    raise ValueError("it is refused")


def keep(item: Any) -> Any:
    return item


async def pages(world: World, *paths: str) -> list[str]:
    """What pages say."""
    process: Any = PlaneProcess(world.plane)
    async with client(process=process) as browser:
        answers = [await browser.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * len(paths)
    return [words(answer.text) for answer in answers]


async def with_letters(*items: Any) -> tuple[World, list[str]]:
    """A world with letters of these items, and the pages on which they stand: groups, group, letter, run."""
    world = World()
    await world.run(world.register(over(list(items), refuse, [])))
    world.register(over(list(items), keep, []))
    [group] = await world.plane.letter_groups()
    run = group.example.run
    return world, [
        "/dead-letters",
        f"/dead-letters/group?flow=orders&group={group.fingerprint}",
        f"/dead-letters/{group.example.id}",
        f"/runs/{run}",
    ]


async def test_no_page_shows_the_wrapping_of_an_item() -> None:
    world, paths = await with_letters({"number": 7}, "a text")
    told = await pages(world, *paths)
    assert not any('"value"' in page or '"type"' in page for page in told)
    assert '{ "number": 7 }' in told[1]
    assert "a text" in told[2]
    assert '{ "number": 7 }' in told[3]
    assert not any("how Python shows it" in page for page in told)


async def test_an_item_of_which_only_a_text_could_be_kept_is_shown_as_such() -> None:
    world, paths = await with_letters(Odd())
    _, group, letter, run = await pages(world, *paths)
    assert "an <odd> thing" in group
    for page in (letter, run):
        assert "an <odd> thing" in page
        assert "This is how Python shows it" in page


async def test_a_replay_is_offered_where_the_code_has_somewhere_to_enter() -> None:
    world, paths = await with_letters("one")
    assert all(" Replay " in page for page in await pages(world, *paths[:3]))

    async def plain(run: Any) -> None:
        """A job by now."""

    world.register(plain)
    told = await pages(world, *paths[:3])
    assert all("the flow is a job by now" in page for page in told)
    assert not any(" Replay " in page for page in told)
    world.plane.registry = type(world.registry)()
    told = await pages(world, *paths[:3])
    assert all("a flow is registered in code, and no flow is registered as 'orders'" in page for page in told)
    assert not any(" Replay " in page for page in told)
    assert all(" Drop " in page for page in told)


async def test_a_letter_that_a_run_replays_is_offered_to_no_other() -> None:
    world, paths = await with_letters("one")
    [run] = (await world.plane.replay(WhichLetters((1,)))).runs
    [letter] = await pages(world, paths[2])
    assert f"run {run.id} replays it" in letter
    assert " Replay " not in letter


async def test_a_letter_of_a_sink_that_is_not_registered_any_more_is_not_offered() -> None:
    world, _ = await with_letters("one")
    [letter] = await world.letters()
    emitted = replace(letter, sink="shop")
    assert world.plane.why_barred(emitted) == "", "a plane that knows of no sinks bars none"
    world.plane.sinks = {"shop", "mail"}
    assert world.plane.why_barred(emitted) == ""
    assert world.plane.why_barred(letter) == ""
    world.plane.sinks = {"mail"}
    says = "the sink that it was emitted to is registered, and 'shop' is not; there are: mail"
    assert world.plane.why_barred(emitted) == says
