"""Dead letters on pages: items as people write them, and a replay where there can be one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest

from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.control.params.payload import encode_payload
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


def form_of(page: str, action: str) -> dict[str, str]:
    """What the form with this action sends."""
    [form] = re.findall(rf'<form[^>]* action="{action}"[^>]*>(.*?)</form>', page)
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))


@pytest.mark.parametrize("place", [0, 1, 2], ids=["groups", "group", "letter"])
async def test_an_old_page_drops_no_letters_that_were_replayed_meanwhile(place: int) -> None:
    world, paths = await with_letters("one", "two")
    process: Any = PlaneProcess(world.plane)
    action = "/dead-letters/group/drop" if place < 2 else "/dead-letters/2/drop"
    async with client(process=process) as browser:
        old = form_of((await browser.get(paths[place])).text, action)
        world.register(over([], refuse, []))
        await world.clock.advance(1)
        await world.replay(1, 2)  # and they have failed again
        refused = await browser.post(action, data=old)
        assert refused.status_code == 409
        assert "Look at it again" in refused.text
        shown = "/dead-letters" if place < 2 else "/dead-letters/2"
        assert f'href="{shown}">Look at how it is now</a>' in refused.text
        assert [letter.state for letter in await world.letters()] == ["open", "open"]
        new = form_of((await browser.get(paths[place])).text, action)
        assert (await browser.post(action, data=new)).status_code == 303
    assert len(await world.letters()) == (0 if place < 2 else 1)


async def test_who_drops_a_group_is_asked_with_its_number() -> None:
    world, paths = await with_letters("one", "two")
    process: Any = PlaneProcess(world.plane)
    async with client(process=process) as browser:
        for path in paths[:2]:
            page = (await browser.get(path)).text
            assert 'data-ask="Drop 2 items? What failed is kept no longer."' in page
            assert 'data-ask="Replay 2 items?"' in page


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
