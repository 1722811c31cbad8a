"""What exactly is installed here? A manifest of a folder tree: path, size and SHA-256 of each file.

Reads, by default, the Python modules of the running interpreter's standard library. Shows folders as
splits, each a unit of the run; a blocking function on threads, several files in flight; and JSON lines
that appear whole at the end or not at all.

    piko-flow run pipelines.tree_digest:pipeline

As a flow it runs each Sunday at four, UTC; a run within `max_errors` files that cannot be read succeeds.
"""

import sysconfig
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, BaseModel

from piko_flow import Cron, Flow, Pipeline, Sink, Source, Transform
from piko_flow.connectors.files import JsonLinesSink
from pipelines.output import output_folder

PATTERN: Final = "*.py"
APART: Final = frozenset({"site-packages", "dist-packages", "__pycache__"})


class FileDigest(BaseModel):
    """One line of the manifest. `path` is relative to the tree, with slashes."""

    path: str
    bytes: int
    modified: AwareDatetime
    sha256: str


def folders(tree: Path) -> list[Path]:
    """Give the tree's own folder and those directly in it, by name; what was installed apart is left out."""
    inside = (entry for entry in tree.iterdir() if entry.is_dir() and entry.name not in APART)
    return [tree, *sorted(inside)]


def python_files(folder: Path, *, tree: Path) -> Iterator[Path]:
    """Give a folder's Python files by path: those directly in the tree, or all below a folder in it."""
    yield from sorted(tree.glob(PATTERN) if folder == tree else folder.rglob(PATTERN))


def digest(path: Path, *, tree: Path) -> FileDigest:
    """Read a file and describe it. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        sha256 = file_digest(file, "sha256").hexdigest()
    about = path.stat()
    return FileDigest(
        path=path.relative_to(tree).as_posix(),
        bytes=about.st_size,
        modified=datetime.fromtimestamp(about.st_mtime, UTC),
        sha256=sha256,
    )


def tree_digest(tree: Path, output: Path) -> Pipeline:
    """Give the pipeline that writes the manifest of a tree into a folder, as tree_digest.jsonl."""
    return (
        Source(partial(python_files, tree=tree), splits=partial(folders, tree), on="thread")
        >> Transform(partial(digest, tree=tree), on="thread", concurrency=4, on_error="dead_letter")
        >> Sink(JsonLinesSink(output / "tree_digest.jsonl"), batch=100)
    )


pipeline = tree_digest(Path(sysconfig.get_path("stdlib")), output_folder())
Flow.register("tree_digest", pipeline, schedule=Cron("0 4 * * sun"), max_errors=0.01)
