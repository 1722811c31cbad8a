"""A function that leaves a trace of how many processes run it at once. A worker that loads it imports nothing else."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

MOST = 8  # processes that are told apart


def at_work(folder: Path, name: str) -> int:
    """Take the first free of the places of this function and note its number; the process holds it until it closes the file or dies."""
    for place in range(MOST):
        file = os.open(folder / f"{name}-{place}", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        with (folder / name).open("a") as notes:
            notes.write(f"{place + 1}\n")
        return file
    raise AssertionError("more processes than any test has")


def work(item: int, folder: Path, name: str, fault: str = "") -> int:
    """A millisecond of computing that leaves a trace of how many do the same at that moment."""
    file = at_work(folder, name)
    sum(range(30_000))
    if fault == "dies" and item in (7, 77) and once(folder / f"{name}-{item}"):
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(file)
    if fault == "raises" and item % 7 == 3 and once(folder / f"{name}-{item}"):
        raise OSError("not yet")
    return item


def once(path: Path) -> bool:
    """Whether this is the first call with this path."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def most(folder: Path, name: str) -> int:
    """How many processes were at work at once on the function of this name."""
    return max(map(int, (folder / name).read_text().split()))
