"""Disks that are full and folders that may only be read: the file stays as it was, and the message names the path."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Sink, Source, run
from piko_flow.connectors.files import CsvSink, JsonLinesSink, ParquetSink
from piko_flow.errors import StageFailed
from tests.unit.files_by_hand import names

ROOT_USER = os.geteuid() == 0
SIZE = 400  # kilobytes that fit on the small disk
KINDS: list[Callable[..., Any]] = [CsvSink, JsonLinesSink, ParquetSink]


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system in memory at the folder while the block is open."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of so many kilobytes at the folder; who may not mount one gets files that cannot be longer."""
    folder.mkdir()
    if ROOT_USER:
        with mounted(folder, f"size={SIZE}k"):
            yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE * 1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder may only be read while the block is open: by a mount, as root ignores its mode."""
    if ROOT_USER:
        subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
            yield
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


def rows(count: int) -> list[dict[str, str]]:
    """Rows that do not get small by being packed."""
    return [{"n": f"{number * 7919 * 104729:x}" * 3} for number in range(count)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_full_disk_fails_the_run_and_leaves_the_file_of_the_run_before(
    kind: Callable[..., Any], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk):
        out = disk / "out"
        await run(Source(rows(100)) >> Sink(kind(out), batch=50))
        before = out.read_bytes()
        with pytest.raises(StageFailed) as caught:
            await run(Source(rows(60_000)) >> Sink(kind(out), batch=500))
        error = caught.value.__cause__
        assert isinstance(error, OSError)
        assert error.errno == (errno.ENOSPC if ROOT_USER else errno.EFBIG)
        assert str(disk / ".out~") in str(caught.value)
        assert names(disk) == ["out"]
        assert out.read_bytes() == before
        await run(Source(rows(200)) >> Sink(kind(out), batch=50))
        assert out.read_bytes() != before


@pytest.mark.parametrize("kind", KINDS)
async def test_a_folder_that_may_only_be_read_fails_the_run_and_is_named(
    kind: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    out = folder / "out"
    await run(Source(rows(100)) >> Sink(kind(out), batch=50))
    before = out.read_bytes()
    with read_only(folder), pytest.raises(StageFailed) as caught:
        await run(Source(rows(200)) >> Sink(kind(out), batch=50))
    error = caught.value.__cause__
    assert isinstance(error, OSError)
    assert error.errno == (errno.EROFS if ROOT_USER else errno.EACCES)
    assert str(folder) in str(caught.value)
    assert names(folder) == ["out"]
    assert out.read_bytes() == before
    await run(Source(rows(200)) >> Sink(kind(out), batch=50))
    assert out.read_bytes() != before
