"""The folder list tells the architecture: nothing visible at the top that is not meant to be there."""

from tests.architecture.checkout import tracked_files

VISIBLE = {"pyproject.toml", "piko_flow", "pipelines", "tests", "notebooks", "docs", "README.md", "LICENSE"}


def test_the_visible_top_level_is_what_the_design_lists() -> None:
    top = {path.split("/")[0] for path in tracked_files()}
    assert {name for name in top if not name.startswith(".")} == VISIBLE


def test_nothing_that_a_run_or_a_tool_leaves_behind_is_tracked() -> None:
    assert [path for path in tracked_files() if path.endswith((".pyc", ".sqlite", ".db", ".parquet"))] == []
