"""What the page on the door claims is shown by tests that exist."""

import re

from tests.architecture.checkout import ROOT

PAGE = (ROOT / "docs" / "semantics" / "door.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(test_\w+)`")


def test_every_test_that_the_page_names_exists() -> None:
    files = [*ROOT.glob("tests/*/test_door*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    named = set(NAMED.findall(PAGE))
    assert {name for name in named if f"def {name}(" not in text} == set()
    assert len(named) > 30


def test_every_line_of_its_tables_names_one() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and "shown by" not in line]
    assert [line for line in lines if not NAMED.search(line)] == []
    assert len(lines) > 20
