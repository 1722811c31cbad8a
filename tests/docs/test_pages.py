"""Every page does what it says: its blocks run, in order, and give what it shows."""

import re
from pathlib import Path

import pytest

from tests.architecture.checkout import ROOT
from tests.docs.pages import Page, pages
from tests.docs.shown import difference

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]+)?\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", pages())
def test_a_page_runs_and_shows_what_comes(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Page(path, tmp_path).run()


@pytest.mark.parametrize("path", pages())
def test_a_page_leads_to_files_and_headings_that_exist(path: str) -> None:
    text = FENCED.sub("", (ROOT / path).read_text(encoding="utf-8"))
    missing = []
    for target, heading in LINK.findall(text):
        found = (ROOT / path).parent / target
        if not found.exists():
            missing.append(target)
        elif heading and heading[1:] not in headings(found):
            missing.append(target + heading)
    assert missing == []


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as hosts of Markdown make them."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_what_differs_from_run_to_run_is_not_compared() -> None:
    shown = "Run 0123456789ab succeeded: 10 items in 0.04 s (250/s)\nSource a   10   -   74%"
    came = "Run ffffffffffff succeeded: 10 items in 1.2 s (8/s)\nSource a  10  9%  -"
    assert difference(shown, came) == ""
    assert "10 items" in difference(shown.replace("10 items", "11 items"), came)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```python\nprint(1)\n```\n", "does not show"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "shows"),
        ("```text\n2\n```\n", "printed none"),
        ('```python\nassert 1 == 2, "no such thing"\n```\n', "no such thing"),
        ("```console\n$ echo 1\n2\n```\n", "shows"),
        ("```console\n$ false\n```\n", "ended with 1"),
        ("```ruby\nputs 1\n```\n", "would not run"),
        ("```\nputs 1\n```\n", "would not run"),
    ],
)
def test_a_page_that_is_wrong_fails(text: str, told: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(AssertionError, match=told):
        Page(str(page), tmp_path).run()
