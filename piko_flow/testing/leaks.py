"""Is anything left over? Tasks, threads, child processes, open files and sockets, files in a folder."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

STEP = 0.01  # seconds between two looks at something that is about to end


class Leaked(AssertionError):
    """Something outlived the block that started it; `lines` says what, one line each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("left over: " + "; ".join(lines))
        self.lines = lines


@dataclass(frozen=True)
class Standing:
    """What exists at one moment: by kind, each thing under a key that stays the same while it lives."""

    tasks: dict[int, asyncio.Task[object]] = field(default_factory=dict)
    threads: dict[int, threading.Thread] = field(default_factory=dict)
    children: dict[int, str] = field(default_factory=dict)
    descriptors: dict[tuple[int, str], str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def now(cls, folder: Path | None = None) -> Standing:
        """Everything at this moment; tasks only where an event loop is running, files only below `folder`."""
        return cls(
            tasks={id(task): task for task in _tasks()},
            threads={id(thread): thread for thread in threading.enumerate()},
            children={child: _command(child) for child in _children()},
            descriptors={(number, target): target for number, target in _descriptors()},
            files={} if folder is None else {str(path): str(path) for path in sorted(folder.rglob("*"))},
        )

    def added(self, before: Standing) -> list[str]:
        """A line for each thing that is here and was not there before."""
        lines = [f"task {task.get_name()!r}" for key, task in self.tasks.items() if key not in before.tasks]
        lines += [f"thread {one.name!r}" for key, one in self.threads.items() if key not in before.threads]
        lines += [
            f"process {child} ({command})"
            for child, command in self.children.items()
            if child not in before.children
        ]
        opened = self.descriptors.keys() - before.descriptors.keys()
        lines += [f"descriptor {number} ({target})" for number, target in sorted(opened)]
        lines += [f"file {path}" for path in self.files if path not in before.files]
        return lines


@contextmanager
def no_leaks(folder: Path | None = None, *, grace: float = 1.0) -> Iterator[None]:
    """Raise Leaked at the end of the block when something that began inside it is still there.

    Looks at threads, child processes, open file descriptors (sockets too) and, inside a running event loop,
    tasks; with `folder` at files and folders below it too. What is just ending gets up to `grace` seconds.
    A block that raises keeps its own error, and nothing is checked. As a fixture for a suite of your own::

        @pytest.fixture(autouse=True)
        def nothing_left() -> Iterator[None]:
            with no_leaks():
                yield
    """
    before = Standing.now(folder)
    yield
    left = remaining(before, folder, grace=grace)
    if left:
        raise Leaked(left)


def remaining(before: Standing, folder: Path | None = None, *, grace: float = 1.0) -> list[str]:
    """What was added since and does not end within `grace` seconds, a line each; empty when all is gone."""
    added = Standing.now(folder).added(before)
    if not added:
        return []
    gc.collect()  # an error's traceback may hold what is closed with it
    pause = threading.Event()
    for _ in range(max(int(grace / STEP), 1)):
        added = Standing.now(folder).added(before)
        if not added:
            break
        pause.wait(STEP)
    return added


def _tasks() -> set[asyncio.Task[object]]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return set()
    return asyncio.all_tasks(loop) - {asyncio.current_task(loop)}


def _children() -> list[int]:
    """The ids of our direct child processes, those that ended and were not waited for included."""
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            found += map(int, task.read_text().split())
    return sorted(found)


def _command(child: int) -> str:
    try:
        return Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:80]
    except OSError:
        return "ended"


def _descriptors() -> list[tuple[int, str]]:
    folder = next((path for path in (Path("/proc/self/fd"), Path("/dev/fd")) if path.is_dir()), None)
    found = []
    for entry in folder.iterdir() if folder is not None else ():
        with suppress(OSError):  # the listing's own descriptor is closed again
            found.append((int(entry.name), str(entry.readlink())))
    return found
