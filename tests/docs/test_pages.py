"""Every page does what it says: its blocks run, in order, and give what it shows."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from piko_flow.cli.main import app
from tests.architecture.checkout import ROOT
from tests.databases.plugin import leave_out
from tests.databases.redis import demand_redis
from tests.docs.pages import Page, blocks, pages
from tests.docs.shown import difference

PROGRAMS = {
    "curl": "curl",
    "promtool": "Prometheus",
}  # that pages call and a machine may lack, and what they are of
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]+)?\)")
EXTRAS = re.compile(r"\.\[([\w,]+)\]")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", pages())
def test_a_page_runs_and_shows_what_comes(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    if '"redis-server"' in text:
        demand_redis()
    for program, name in PROGRAMS.items():
        if re.search(rf"^\$ (.*\b)?{program} ", text, re.MULTILINE) and shutil.which(program) is None:
            leave_out(name)
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


def test_commands_that_fetch_packages_are_on_the_first_page_only() -> None:
    fetching = [(path, block.source) for path in pages() for block in blocks(path) if block.language == "sh"]
    assert [path for path, _ in fetching] == ["README.md"] * 3
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = {
        extra for _, source in fetching for found in EXTRAS.findall(source) for extra in found.split(",")
    }
    assert extras <= declared["project"]["optional-dependencies"].keys()
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\bpoe (\w+)`", text)) <= declared["tool"]["poe"]["tasks"].keys()


def test_the_page_of_the_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+(?:\.py|/))`", text)
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "piko_flow").rglob("*.py")}
    there |= {"tests/architecture/"} | {f"{path.rpartition('/')[0]}/" for path in there}
    assert [name for name in named if not any(path.endswith(name) for path in there)] == []
    assert len(named) > 20


def test_the_page_of_running_has_every_option_of_the_command() -> None:
    text = (ROOT / "docs/how-to/run-a-pipeline.md").read_text(encoding="utf-8")
    command = get_command(app).commands["run"]  # type: ignore[attr-defined]  # the app is a group
    options = {name for one in command.params for name in one.opts if name.startswith("--")} - {"--help"}
    assert options == set(re.findall(r"^\| `(--[\w-]+)", text, re.MULTILINE))


def test_what_differs_from_run_to_run_is_not_compared() -> None:
    shown = "Run 0123456789ab succeeded: 10 items in 0.04 s (250/s)\nSource a   10   -   74%"
    got = "2.0 s: 9 items read\nRun ffffffffffff succeeded: 10 items in 1.2 s (8/s)\nSource a  10  9%  -"
    assert difference(shown, got) == ""
    assert "10 items" in difference(shown.replace("10 items", "11 items"), got)


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
