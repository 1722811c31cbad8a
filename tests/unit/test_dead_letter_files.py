"""Items of dead letters that are too large for a row lie in private files, as long as their letters are open."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Pipeline, Sink, Source, Transform
from piko_flow.control.dead_letters.letter_files import PARTIAL, LetterFiles
from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.params.payload import LONGEST
from piko_flow.control.runs.runs_thread import EVERY, YOUNG, keep_sweeping, sweep
from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import RunStatus
from piko_flow.testing.manual_clock import ManualClock
from tests.unit.dead_letter_worlds import World

ROOM = 4 * LONGEST
LARGE = {"text": "x" * LONGEST, "card": "4111-1111"}


class Large(World):
    """A world whose large letters lie in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.plane.options = ReplicaOptions(letter_folder=folder, letter_room=ROOM)
        self.files = LetterFiles(folder, ledger=self.store.url, most=ROOM)
        self.with_tools(files=self.files)

    @property
    def found(self) -> list[Path]:
        """The files that are there."""
        return list(self.files.folder.iterdir()) if self.files.folder.exists() else []


@pytest.fixture
def world(tmp_path: Path) -> Large:
    return Large(tmp_path / "letters")


def refusing(items: list[Any], out: list[Any], *, refuse: bool = True) -> Pipeline:
    def check(item: Any) -> Any:
        if refuse:
            raise ValueError("no")
        return item

    return Source(items) >> Transform(check, name="check", on_error="dead_letter") >> Sink(out.append)


async def test_a_large_item_lies_in_a_private_file_and_is_replayed_whole(world: Large) -> None:
    out: list[Any] = []
    await world.run(world.register(refusing([LARGE, 1], out)))
    large, small = await world.letters()
    assert (bool(large.payload_file), small.payload_file) == (True, "")
    assert len(large.payload) < 5000
    [path] = world.found
    assert path.name == large.payload_file
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert (await world.plane.dead_letter(large.id)).item == LARGE
    world.register(refusing([], out, refuse=False))
    assert (await world.replay(1, 2)).status is RunStatus.SUCCESS
    assert out == [LARGE, 1]


async def test_a_file_goes_with_its_letter(world: Large) -> None:
    await world.run(world.register(refusing([LARGE, LARGE], [])))
    assert len(world.found) == 2
    await world.plane.drop(WhichLetters((1,)))
    assert len(world.found) == 1
    world.register(refusing([], [], refuse=False))
    await world.replay(2)
    for path in world.found:
        os.utime(path, (0, 0))
    assert await sweep(world.files, world.ask, world.clock) == 1
    assert world.found == []


async def test_files_that_are_young_or_whose_letter_is_open_are_not_swept(world: Large) -> None:
    await world.run(world.register(refusing([LARGE], [])))
    [path] = world.found
    young = path.with_name("young.json")
    young.write_text("{}")
    now = (world.clock.now() - YOUNG / 2).timestamp()
    os.utime(path, (0, 0))
    os.utime(young, (now, now))
    assert await sweep(world.files, world.ask, world.clock) == 0
    assert sorted(world.found) == sorted([path, young])


async def test_what_has_no_room_is_kept_as_its_beginning_and_not_replayed(world: Large) -> None:
    await world.run(world.register(refusing([{"text": "x" * (ROOM // 2)}] * 3, [])))
    letters = await world.letters()
    assert [bool(one.payload_file) for one in letters] == [True, False, False]
    assert sum(path.stat().st_size for path in world.found) <= ROOM
    with pytest.raises(RequestRefused, match="only a text for people was kept"):
        await world.plane.replay(WhichLetters((2,)))


@pytest.mark.parametrize("torn", [b"", b'{"type":"dict"', None])
async def test_a_file_that_is_torn_or_gone_is_not_replayed(world: Large, torn: bytes | None) -> None:
    await world.run(world.register(refusing([LARGE], [])))
    [path] = world.found
    if torn is None:
        path.unlink()
    else:
        path.write_bytes(torn)
    world.register(refusing([], [], refuse=False))
    outcome = await world.replay(1)
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, "RequestRefused")
    assert "its item lies in a file" in outcome.error_msg
    assert [one.state for one in await world.letters()] == ["open"]


async def test_redacted_fields_are_in_no_file(world: Large) -> None:
    await world.run(world.register(refusing([LARGE], []), redact=["card"]))
    [letter] = await world.letters()
    [path] = world.found
    assert b"4111-1" not in path.read_bytes()
    assert "4111-1" not in letter.payload


def test_a_folder_that_others_may_read_takes_nothing(tmp_path: Path) -> None:
    files = LetterFiles(tmp_path, ledger="memory://", most=ROOM)
    files.folder.mkdir(mode=0o755)
    assert files.keep("{}") == ""
    assert list(files.folder.iterdir()) == []


def test_files_that_come_and_go_meanwhile_keep_no_item_from_being_kept(tmp_path: Path) -> None:
    files = LetterFiles(tmp_path, ledger="memory://", most=ROOM)

    def keep(worker: int) -> list[str]:
        kept = []
        for number in range(60):
            kept.append(files.keep(json.dumps([worker, number])))
            files.remove(kept[-2:-1] if number % 2 else ())
            files.names(before=datetime.max.replace(tzinfo=UTC))
        return kept

    with ThreadPoolExecutor(4) as pool:
        names = [name for kept in pool.map(keep, range(4)) for name in kept]
    assert all(names)
    assert len(set(names)) == 4 * 60
    assert files.names(before=datetime.max.replace(tzinfo=UTC)) <= set(names)


def test_a_file_that_is_renamed_while_they_are_counted_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LetterFiles(tmp_path, ledger="memory://", most=10)
    whole = files.folder / files.keep("[1234]")
    half = whole.rename(f"{whole}{PARTIAL}")
    stat = Path.stat

    def renamed(path: Path, **options: Any) -> os.stat_result:
        """As when another thread ends its file as soon as this one has seen it."""
        state = stat(path, **options)
        if path == half:
            half.rename(whole)
        return state

    monkeypatch.setattr(Path, "stat", renamed)
    kept = files.keep("[56]")
    assert (bool(kept), whole.exists()) == (True, True)
    assert files.keep("[7]") == ""


def test_ledgers_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(ledger: str) -> Path:
        return LetterFiles(tmp_path, ledger=ledger, most=ROOM).folder

    here = folder("sqlite+aiosqlite:///piko.db")
    monkeypatch.chdir(tmp_path)
    assert folder("sqlite+aiosqlite:///piko.db") != here
    assert folder(f"sqlite+aiosqlite:///{tmp_path}/piko.db") == folder("sqlite+aiosqlite:///piko.db")


def test_files_are_told_by_age(tmp_path: Path) -> None:
    clock, files = ManualClock(), LetterFiles(tmp_path, ledger="memory://", most=ROOM)
    name = files.keep("{}")
    written = clock.now().timestamp()
    os.utime(files.folder / name, (written, written))
    assert files.names(before=clock.now()) == set()
    assert files.names(before=clock.now() + timedelta(seconds=1)) == {name}


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Inside the block no file of this process grows beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_takes_nothing_and_leaves_no_half_file(tmp_path: Path) -> None:
    files = LetterFiles(tmp_path, ledger="memory://", most=ROOM)
    with no_file_beyond(64 * 1024):
        assert files.keep("x" * LONGEST) == ""
    assert list(files.folder.iterdir()) == []
    assert files.keep("x" * LONGEST) != ""


def test_a_folder_that_cannot_be_made_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert LetterFiles(tmp_path / "file", ledger="memory://", most=ROOM).keep("{}") == ""


async def test_sweeping_goes_on_after_an_error_that_nobody_expected(
    world: Large, caplog: pytest.LogCaptureFixture
) -> None:
    clock, told, swept = ManualClock(), asyncio.Event(), asyncio.Event()

    class Bell(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.set()

    class Failing(LetterFiles):
        def names(self, *, before: datetime) -> set[str]:
            if clock.monotonic() - began < EVERY.total_seconds():
                raise LookupError("a name that nobody expected")
            loop.call_soon_threadsafe(swept.set)  # from a thread
            return set()

    loop, began = asyncio.get_running_loop(), clock.monotonic()
    failing = Failing(world.files.folder, ledger=world.store.url, most=ROOM)
    bell, log = Bell(), logging.getLogger("piko_flow.letters")
    log.addHandler(bell)
    sweeping = asyncio.create_task(keep_sweeping(failing, world.ask, clock))
    async with asyncio.timeout(30):
        await told.wait()
        await clock.advance(EVERY.total_seconds())
        await swept.wait()
    log.removeHandler(bell)
    sweeping.cancel()
    await asyncio.wait([sweeping])
    assert [(one.levelname, one.exc_info is not None) for one in caplog.records] == [("ERROR", True)]
