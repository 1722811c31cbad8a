"""The graph of a flow that runs: the stage that is held up stands out, and edges tell how fast items flow."""

from __future__ import annotations

import re

from tests.browser.conftest import Opens
from tests.browser.watched_page import THEMES

STROKE = "getComputedStyle(document.querySelector('.g-box{}')).stroke"


def test_the_stage_that_is_held_up_is_in_a_colour_of_its_own(opens: Opens) -> None:
    page = opens("/flows/stream_orders")
    page.find(".g-box.blocked").first.wait_for(state="attached")
    assert page.find(".g-box").count() == 3
    assert "blocked: what follows takes items more slowly" in page.text()
    title = page.find("g:has(> .g-box.blocked) > title").first.text_content() or ""
    assert re.search(r"blocked \d+%", title), title
    for theme in THEMES:
        page.page.emulate_media(color_scheme=theme)
        gap = page.page.evaluate(
            "(() => { const probe = document.createElement('i'); probe.style.color = 'var(--gap)';"
            " document.body.append(probe); const found = getComputedStyle(probe).color; probe.remove(); return found; })()"
        )
        assert page.page.evaluate(STROKE.format(".blocked")) == gap
        assert page.page.evaluate(STROKE.format(":not(.blocked)")) != gap


def test_edges_of_a_live_run_tell_items_a_second_and_follow(opens: Opens) -> None:
    page = opens("/flows/stream_orders")
    page.find(".g-rate").first.wait_for(state="attached")
    told = page.find(".g-rate").all_text_contents()
    assert len(told) == 2
    assert all(re.fullmatch(r"[\d.]+[kM]?/s", text) for text in told), told
    page.page.evaluate("document.querySelector('.g-rate').dataset.seen = 'before'")
    page.find(".g-rate:not([data-seen])").nth(1).wait_for(state="attached")  # drawn anew by itself
    page.until("[...document.querySelectorAll('.g-rate')].some((one) => parseFloat(one.textContent) > 0)")
