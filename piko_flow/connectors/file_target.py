"""What all sinks that write files have in common: parts beside the target, published by a rename."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from os import PathLike
from pathlib import Path
from typing import Any, Final, Generic, NoReturn

from piko_flow.connectors.file_errors import OutputRefused, PartLost
from piko_flow.connectors.output_path import UNIT, OutputPath
from piko_flow.connectors.part_file import (
    Content,
    PartFile,
    PartInUse,
    holds,
    in_use,
    join_files,
    sync_folder,
)
from piko_flow.connectors.run_hold import RunHold, make_folders, remove_folders
from piko_flow.connectors.uninterrupted import on_own_thread
from piko_flow.dataflow.origin import caller
from piko_flow.dataflow.stages.sink import Part, Receipt, SinkTarget, T_contra

_UNITS: Final = (("kB", 1e3), ("MB", 1e6), ("GB", 1e9))


class FileTarget(SinkTarget[T_contra], Generic[T_contra]):
    """A file that is replaced as a whole when the run commits, or not at all.

    Each part is written to a hidden file in the target's folder, which is made if it is missing. `commit`
    renames it to the target. The parts of several units are joined to one file, in the order of the units,
    unless the name holds `{unit}`: then each unit has a file of its own, and files of earlier runs with a higher
    unit number are removed. Committing again after a crash finishes what is left. Nothing is appended.

    `open` raises OutputRefused where something stands that is not a file, and OSError where the folder
    cannot be written. Subclasses define `write`, and may define the four hooks.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.where = str(caller())
        if not isinstance(path, str | PathLike) or not Path(path).name:
            self.what = type(self).__name__
            self.refuse("a file sink needs the path of a file", f"got {path!r}")
        self.path = Path(path).expanduser()
        self.output = OutputPath(self.path)
        self.name = self.path.name
        self.what = f"{type(self).__name__} {self.name!r}"
        if UNIT in str(self.path.parent):
            self.refuse(f"{UNIT} may stand in the name of the file only", f"got {path}")
        self.file: PartFile | None = None
        self._made: list[Path] = []

    def refuse(self, rule: str, came: str, advice: str = "") -> NoReturn:
        """Raise the OutputRefused that names this sink, where it was written, the rule and what came."""
        raise OutputRefused(what=self.what, where=self.where, rule=rule, came=came, advice=advice)

    compressible = True
    """Whether a name that ends in `.gz` means that the file is compressed."""

    # Hooks of subclasses.

    def begin_part(self) -> None:
        """Called when `self.part` and `self.file` are open."""

    def end_part(self) -> None:
        """Called before `self.file` is finished, after the last item."""

    def facts(self) -> dict[str, Any]:
        """What the receipt tells besides, as JSON values."""
        return {}

    def opening(self, receipts: Sequence[Receipt]) -> bytes:
        """The bytes before the parts where they are joined."""
        return b""

    # The steps of a part.

    async def open(self, part: Part) -> None:
        """Make the part's hidden file, and the folders that are missing."""
        await super().open(part)
        folder = self.folder = self.path.parent.absolute()
        target = folder / self.output.target_name(part)
        if target.exists() and not target.is_file():
            kind = "a folder" if target.is_dir() else "not a regular file"
            self.refuse("a file sink replaces files only", f"{target} is {kind}")
        self._made = make_folders(folder)
        try:
            self.file = PartFile(
                folder / self.output.part_name(part), compress=self.output.compress and self.compressible
            )
        except PartInUse:
            self.refuse("two sinks cannot write the same file", f"another one is writing {self.path}")
        self.begin_part()

    async def prepare(self) -> Receipt:
        """Bring the part to the disk. The event loop goes on meanwhile."""
        file = self.opened()
        content = await on_own_thread(self._finish)
        data = {
            "folder": str(self.folder),
            "file": file.path.name,
            "target": self.output.target_name(self.part),
            "bytes": content.size,
            "crc32": content.crc32,
            **self.facts(),
        }
        return Receipt(self.part, self.items, data)

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        """Publish the parts; gives one line with their rows and size. Raises PartLost and OSError."""
        if not receipts:
            return []
        ordered = sorted(receipts, key=lambda receipt: receipt.part.number)
        return await on_own_thread(lambda: self._publish(ordered))

    async def abort(self) -> None:
        """Remove the part's file, and the folders made for it if nothing else is in them."""
        if self.file is None:
            return
        self.file.discard()
        with suppress(OSError):  # the folder is gone, or somebody else uses it
            self._forget_agreement()
        remove_folders(self._made)

    async def hold(self, run: str) -> AbstractContextManager[object]:
        """Keep sweeps from the parts of the run while the block is open, or its process lives."""
        try:
            return RunHold(self.path.parent.absolute() / self.output.held_name(run))
        except OSError:  # where nothing can be written, opening a part says so
            return nullcontext()

    async def sweep(self, live: Collection[Part]) -> None:
        """Remove the hidden files of this sink that belong to no live part or run and that nobody is writing."""
        keep = self.output.live_names(live)
        files = self._unpublished()
        known = {part.run for part in live}  # of these runs, the live parts are all that is needed
        runs = {run for file in files if (run := self.output.held_by(file.name)) and in_use(file)}
        held = runs - known
        for file in files:
            theirs = any(self.output.is_of(file.name, run) for run in held)
            if file.name not in keep and not theirs and not in_use(file):
                file.unlink(missing_ok=True)

    def opened(self) -> PartFile:
        """The file of the open part. Raises RuntimeError when none is open."""
        if self.file is None:
            raise RuntimeError(f"{self.what} has no open part")
        return self.file

    def _finish(self) -> Content:
        self.end_part()
        return self.opened().finish()

    def _unpublished(self) -> list[Path]:
        folder = self.path.parent
        if not folder.is_dir():
            return []
        return [file for file in folder.iterdir() if self.output.is_unpublished(file.name)]

    def _forget_agreement(self) -> None:
        """Remove what the parts of the run agreed on when the last of them is gone."""
        run = self.part.run
        if not any(self.output.belongs(file.name, run) for file in self._unpublished()):
            (self.folder / self.output.agreed_name(run)).unlink(missing_ok=True)

    def _publish(self, receipts: list[Receipt]) -> list[str]:
        folder = Path(receipts[0].data["folder"])
        if self.output.joins(receipts[0].part):
            size = self._join(folder, receipts)
        else:
            size = sum(self._rename(folder, receipt) for receipt in receipts)
        removed = self._remove_earlier(folder, receipts)
        (folder / self.output.agreed_name(receipts[0].part.run)).unlink(missing_ok=True)
        sync_folder(folder)
        rows = sum(receipt.items for receipt in receipts)
        files = f"{counted(len(receipts), 'file')}, " if self.output.by_unit else ""
        line = f"{self.path}: {files}{counted(rows, 'row')}, {readable_size(size)}"
        return [f"{line}; {counted(removed, 'file')} of an earlier run removed" if removed else line]

    def _rename(self, folder: Path, receipt: Receipt) -> int:
        part, target = folder / receipt.data["file"], folder / receipt.data["target"]
        content = content_of(receipt)
        if part.exists():
            if part.stat().st_size != content.size:
                raise PartLost(str(part), target.name, "was changed")
            part.replace(target)
        elif not holds(target, b"", [content]):
            raise PartLost(str(part), target.name, "is gone")
        return content.size

    def _join(self, folder: Path, receipts: list[Receipt]) -> int:
        target = folder / receipts[0].data["target"]
        opening = self.opening(receipts)
        parts = [folder / receipt.data["file"] for receipt in receipts]
        contents = [content_of(receipt) for receipt in receipts]
        lost = [part for part in parts if not part.exists()]
        if not lost:
            for part, content in zip(parts, contents, strict=True):
                if part.stat().st_size != content.size:
                    raise PartLost(str(part), target.name, "was changed")
            joined = folder / self.output.joined_name(receipts[0].part.run)
            join_files(joined, opening, parts)
            joined.replace(target)
            sync_folder(folder)
        elif not holds(target, opening, contents):
            # Parts are removed only after the joined file has been published.
            raise PartLost(str(lost[0]), target.name, "is gone")
        for part in parts:
            part.unlink(missing_ok=True)
        return len(opening) + sum(content.size for content in contents)

    def _remove_earlier(self, folder: Path, receipts: list[Receipt]) -> int:
        if not self.output.by_unit:
            return 0
        published = {receipt.data["target"] for receipt in receipts}
        earlier = [
            file
            for file in folder.iterdir()
            if self.output.is_target(file.name) and file.name not in published and file.is_file()
        ]
        for file in earlier:
            file.unlink(missing_ok=True)
        return len(earlier)


def content_of(receipt: Receipt) -> Content:
    """What the part of a receipt had in its file."""
    return Content(receipt.data["bytes"], receipt.data["crc32"])


def counted(number: int, thing: str) -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def readable_size(size: int) -> str:
    """A size in bytes with three or four digits: `812 B`, `56 kB`, `1.2 MB`."""
    if size < 1000:
        return f"{size} B"
    unit, scale = next(((unit, scale) for unit, scale in _UNITS if size < 999.5 * scale), _UNITS[-1])
    number = size / scale
    return f"{number:.1f} {unit}" if number < 9.95 else f"{number:,.0f} {unit}"
