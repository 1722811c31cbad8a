"""A drawing shows every stage, its options and its branches, whatever the names are."""

import re
from textwrap import dedent
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piko_flow import Batch, Broadcast, CpuMap, Filter, Merge, On, Retry, Route, Sink, Source, Transform
from piko_flow.dataflow.drawing import draw_mermaid, draw_svg, draw_text
from piko_flow.dataflow.drawing.labels import columns, cut
from piko_flow.dataflow.drawing.layers import spread
from piko_flow.dataflow.stages.stage import Stage

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 'a"b</text>\n<script>&\x00\x1b[31m 漢字]-->|#quot;'


def enrich(item: int) -> int:
    return item


async def fetch(item: int) -> int:
    return item


def write(item: object) -> None:
    pass


def sink(name: str) -> Sink[object]:
    return Sink(write, name=name)


def diamond() -> Stage:
    branches: Any = (Transform(enrich) >> Batch(10), Transform(fetch, concurrency=4))
    drawn: Stage = Source([1, 2], name="numbers") >> Broadcast(*branches) >> sink("out")
    return drawn


def wide() -> Stage:
    branches: list[Any] = [
        On(int, Transform(enrich, name=f"enrich_the_item_{n}") >> sink(f"table_{n}")) for n in range(1)
    ]
    others: list[Any] = [On(bool_of, Transform(fetch, name=f"a_long_branch_name_{n}")) for n in range(9)]
    sources = [Source([1], name=f"source_{n}") for n in range(12)]
    drawn: Stage = Merge(*sources) >> Route(*others, *branches, on_error="skip") >> sink("last")
    return drawn


def bool_of(item: object) -> bool:
    return bool(item)


def every_kind() -> list[Stage]:
    return [
        diamond(),
        wide(),
        Transform(enrich),
        Transform(enrich) >> Filter(bool_of),
        Source([1]) >> Broadcast(sink("a"), sink("b")),
        Merge(Source([1]) >> Filter(bool_of), Source([2])) >> sink("merged"),
    ]


def test_a_chain_is_drawn_from_top_to_bottom() -> None:
    chain = Source([1], name="orders") >> CpuMap(enrich, workers=4) >> sink("table")
    assert draw_text(chain) == dedent(
        """\
        ╭───────────────╮
        │ Source orders │
        ╰───────┬───────╯
        ╭───────▼───────╮
        │ CpuMap enrich │
        │ 4 workers     │
        ╰───────┬───────╯
         ╭──────▼─────╮
         │ Sink table │
         ╰────────────╯"""
    )


def test_branches_stand_side_by_side_and_meet_again() -> None:
    assert draw_text(diamond()) == dedent(
        """\
                   ╭────────────────╮
                   │ Source numbers │
                   ╰────────┬───────╯
                      ╭─────▼─────╮
                      │ Broadcast │
                      ╰─────┬─────╯
                  ╭─────────┴──────────╮
        ╭─────────▼────────╮  ╭────────▼────────╮
        │ Transform enrich │  │ Transform fetch │
        ╰─────────┬────────╯  │ concurrency 4   │
                  │           ╰────────┬────────╯
            ╭─────▼────╮               │
            │ Batch    │               │
            │ 10 items │               │
            ╰─────┬────╯               │
                  ╰─────────┬──────────╯
                      ╭─────▼────╮
                      │ Sink out │
                      ╰──────────╯"""
    )


def test_a_graph_too_wide_for_a_narrow_terminal_is_a_list_there() -> None:
    several = Source([1]) >> Broadcast(*(sink(f"table_{number}") for number in range(5)))
    assert max(map(columns, draw_text(several).splitlines())) > 70
    narrow = draw_text(several, widest=70).splitlines()
    assert narrow[0] == "Source list"
    assert "├─ Sink table_0" in "\n".join(narrow)
    assert max(map(columns, narrow)) <= 70


def test_the_branches_of_a_route_are_named() -> None:
    graph = Source([1]) >> Route(On(int, sink("whole")), On(object, sink("rest")))
    (named,) = [line for line in draw_text(graph).splitlines() if "int" in line]
    assert named.split() == ["int", "object"]
    assert 's1 -->|"int"| s2' in draw_mermaid(graph)
    assert {"int", "object"} <= set(texts(draw_svg(graph)))


def test_a_graph_too_wide_for_boxes_is_an_indented_list() -> None:
    drawn = draw_text(wide()).splitlines()
    assert drawn[:3] == ["├─ Source source_0", "├─ Source source_1", "├─ Source source_2"]
    assert "├─ bool_of: Transform a_long_branch_name_0" in drawn
    assert drawn[-4:] == [
        "╰─ int: Transform enrich_the_item_0",
        "   Sink table_0",
        "where the branches meet",
        "Sink last",
    ]
    assert len(drawn) == 12 + 2 + 9 + 2 + 2


@pytest.mark.parametrize("stage", every_kind(), ids=lambda stage: stage.name[:30])
def test_no_line_is_wider_than_100_columns_and_no_stage_is_missing(stage: Stage) -> None:
    drawn = draw_text(stage)
    assert max(map(columns, drawn.splitlines())) <= 100
    for leaf in stage.leaves():
        if leaf.name != leaf.kind.lower():
            assert leaf.name in drawn


@pytest.mark.parametrize("stage", every_kind(), ids=lambda stage: stage.name[:30])
def test_boxes_in_a_picture_do_not_overlap_and_lie_inside(stage: Stage) -> None:
    root = ET.fromstring(draw_svg(stage))
    boxes = [rectangle(found) for found in root.iter(f"{SVG}rect") if found.get("class") == "piko-box"]
    assert len(boxes) == len(list(stage.leaves()))
    for place, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert top >= 0
        assert right <= float(root.get("width", 0))
        assert bottom <= float(root.get("height", 0))
        for left2, top2, right2, bottom2 in boxes[:place]:
            assert right < left2 or right2 < left or bottom < top2 or bottom2 < top


def test_options_that_differ_from_the_usual_are_shown() -> None:
    stage = Transform(fetch, concurrency=50, ordered=False, timeout=2.5, retry=Retry(3), on_error="skip")
    for drawn in (draw_text(stage), " ".join(texts(draw_svg(stage)))):
        for option in ("concurrency 50", "unordered", "timeout 2.5 s", "3 attempts", "skips errors"):
            assert option in drawn


def test_a_picture_suits_light_and_dark_pages_and_needs_nothing_from_outside() -> None:
    drawn = draw_svg(diamond())
    assert "@media (prefers-color-scheme:dark)" in drawn
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|href|url\(|<script", drawn)


def test_pointing_at_a_box_tells_the_line_that_wrote_it() -> None:
    assert re.search(r"<title>Transform fetch \(.*test_drawing\.py:\d+\)</title>", draw_svg(diamond()))


def test_a_name_is_shown_and_never_read_as_markup() -> None:
    stage = Source([1], name=HOSTILE) >> sink("out")
    shown = 'a"b</text> <script>&  [31m 漢字]-->|#quot;'
    assert cut(shown, 26, tail=6) in texts(draw_svg(stage))
    assert cut(f"Source {shown}", 40, tail=6) in draw_text(stage)
    assert "\x1b" not in draw_text(stage)
    node = draw_mermaid(stage).splitlines()[1]
    assert node.count('"') == 2
    assert "<script" not in node


def test_stages_draw_themselves_in_a_notebook() -> None:
    bundle = diamond()._repr_mimebundle_()
    assert bundle == {"image/svg+xml": draw_svg(diamond()), "text/plain": draw_text(diamond())}
    assert set(bundle) == {"image/svg+xml", "text/plain"}


def test_wide_letters_take_two_columns() -> None:
    assert columns("漢a\u0301") == 3
    assert cut("漢字漢字漢字", 7) == "漢字漢…"
    first, words, last = draw_text(Source([1], name="漢字")).splitlines()
    assert len(first) == len(last) == columns(words)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 20)), min_size=1, max_size=12))
def test_spread_places_keep_their_distances_and_stay_where_there_is_room(
    places: list[tuple[int, int]],
) -> None:
    wanted = [float(place) for place, _ in places]
    apart = [float(distance) for _, distance in places[1:]]
    found = spread(wanted, apart)
    for one, two, distance in zip(found, found[1:], apart, strict=False):
        assert two - one >= distance - 1e-6
    if all(two - one >= distance for one, two, distance in zip(wanted, wanted[1:], apart, strict=False)):
        assert found == pytest.approx(wanted)


def texts(drawn: str) -> list[str]:
    return [found.text or "" for found in ET.fromstring(drawn).iter(f"{SVG}text")]


def rectangle(found: ET.Element) -> tuple[float, float, float, float]:
    left, top, width, height = (float(found.get(name, 0)) for name in ("x", "y", "width", "height"))
    return left, top, left + width, top + height
