"""A local folder as the place of a sink's files."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from piko_flow.connectors.content import Content
from piko_flow.connectors.part_file import PartFile, holds, in_use, join_files, sync_folder
from piko_flow.connectors.run_hold import RunHold, make_folders, remove_folders


class LocalPlace:
    """A folder of the file system: publishing is a rename, and locks tell what is in use."""

    remote = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = str(folder)
        self._made: list[Path] = []

    def fault(self, target: str) -> str:
        path = self._folder / target
        if path.exists() and not path.is_file():
            return f"{path} is {'a folder' if path.is_dir() else 'not a regular file'}"
        return ""

    def begin(self, name: str, *, run: str, sink: str, compress: bool) -> PartFile:
        self._made = make_folders(self._folder)
        return PartFile(self._folder / name, compress=compress)

    def names(self, under: str = "") -> list[str]:
        folder = self._folder / under
        return [path.name for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []

    def size(self, name: str) -> int | None:
        path = self._folder / name
        return path.stat().st_size if path.exists() else None

    def publish(self, name: str, target: str) -> None:
        path = self._folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        (self._folder / name).replace(path)

    def join(self, name: str, opening: bytes, parts: Sequence[str]) -> None:
        join_files(self._folder / name, opening, [self._folder / part for part in parts])

    def holds(self, name: str, opening: bytes, contents: Sequence[Content]) -> bool:
        return holds(self._folder / name, opening, contents)

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def settle(self, targets: Sequence[str]) -> None:
        for folder in {self._folder, *((self._folder / target).parent for target in targets)}:
            sync_folder(folder)

    def agree(self, name: str, text: str) -> str:
        with (self._folder / name).open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            if found := file.read():
                return found
            file.write(text)
        return text

    def hold(self, name: str) -> AbstractContextManager[object]:
        return RunHold(self._folder / name)

    def in_use(self, name: str) -> bool:
        return in_use(self._folder / name)

    def leave(self) -> None:
        remove_folders(self._made)
