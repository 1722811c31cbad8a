"""Publishing the parts of a decided run, from receipts alone, as often as it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from piko_flow.connectors.content import Content
from piko_flow.connectors.file_errors import PartLost
from piko_flow.connectors.output_path import OutputPath, window_of
from piko_flow.connectors.place import Place
from piko_flow.counting import counted
from piko_flow.dataflow.stages.sink import Part, Receipt

_UNITS: Final = (("kB", 1e3), ("MB", 1e6), ("GB", 1e9))


@dataclass(frozen=True)
class FileCommit:
    """The receipts of one run, in the order of their units; `opening` is what comes before parts that are joined."""

    place: Place
    output: OutputPath
    receipts: Sequence[Receipt]
    opening: bytes

    def publish(self) -> str:
        """Publish all parts and remove what they replace; gives a line with rows and size.

        Raises PartLost, and OSError or ObjectStoreFailed.
        """
        part = self.receipts[0].part
        targets = [receipt.data["target"] for receipt in self.receipts]
        if self.output.joins(part):
            size = self._join()
        else:
            size = sum(map(self._publish_one, self.receipts))
        removed = self._remove_earlier(part, set(targets))
        for name in self.output.shared_names(part.run):
            self.place.remove(name)
        self.place.settle(targets)
        rows = sum(receipt.items for receipt in self.receipts)
        files = f"{counted(len(self.receipts), 'file')}, " if self.output.by_unit else ""
        line = f"{self._shown(targets)}: {files}{counted(rows, 'row')}, {readable_size(size)}"
        return f"{line}; {counted(removed, 'file')} of an earlier run removed" if removed else line

    def _shown(self, targets: Sequence[str]) -> str:
        """The target as the user wrote it, with the names that the run has filled in where they are the same for all."""
        if self.output.by_unit or self.output.text.endswith(targets[0]):
            return self.output.text
        return f"{self.output.folder}/{targets[0]}"

    def _publish_one(self, receipt: Receipt) -> int:
        name, target, content = receipt.data["file"], receipt.data["target"], content_of(receipt)
        size = self.place.size(name)
        if size is not None:
            if size != content.size:
                raise PartLost(self._at(name), target, "was changed")
            self.place.publish(name, target)
        elif not self.place.holds(target, b"", [content]):
            raise PartLost(self._at(name), target, "is gone")
        return content.size

    def _join(self) -> int:
        first = self.receipts[0]
        target, joined = first.data["target"], self.output.joined_name(first.part.run)
        parts = [receipt.data["file"] for receipt in self.receipts]
        contents = [content_of(receipt) for receipt in self.receipts]
        sizes = [self.place.size(part) for part in parts]
        if None not in sizes:
            for part, size, content in zip(parts, sizes, contents, strict=True):
                if size != content.size:
                    raise PartLost(self._at(part), target, "was changed")
            self.place.join(joined, self.opening, parts)
            self.place.publish(joined, target)
            self.place.settle([target])
        elif not self.place.holds(target, self.opening, contents):
            # Parts are removed only after the joined file has been published.
            raise PartLost(self._at(parts[sizes.index(None)]), target, "is gone")
        for part in parts:
            self.place.remove(part)
        return len(self.opening) + sum(content.size for content in contents)

    def _remove_earlier(self, part: Part, published: set[str]) -> int:
        earlier = earlier_files(self.place, self.output, part, published)
        for name in earlier:
            self.place.remove(name)
        return len(earlier)

    def _at(self, name: str) -> str:
        return f"{self.place.address}/{name}"


def earlier_files(place: Place, output: OutputPath, part: Part, published: set[str]) -> list[str]:
    """The files of the part's flow that its run replaces besides those it publishes."""
    if not (output.by_unit or output.by_window):
        return []
    folder, window = output.target_folder(part), window_of(part)
    before = f"{folder}/" if folder else ""
    return [
        before + name
        for name in place.names(folder)
        if before + name not in published
        and output.is_target(name, part)
        and (
            not output.by_window
            or (window and (its := output.window_in(name, part)) and its.lies(window) == "inside")
        )
    ]


def file_across(place: Place, output: OutputPath, part: Part) -> str:
    """The first file of the part's flow whose window overlaps that of the run without lying inside; empty if none."""
    window = window_of(part)
    if window is None or not output.by_window:
        return ""
    names = sorted(place.names(output.target_folder(part)))
    return next(
        (name for name in names if (its := output.window_in(name, part)) and its.lies(window) == "across"), ""
    )


def content_of(receipt: Receipt) -> Content:
    """What the part of a receipt had in its file."""
    return Content(receipt.data["bytes"], receipt.data["crc32"])


def readable_size(size: int) -> str:
    """A size in bytes with three or four digits: `812 B`, `56 kB`, `1.2 MB`."""
    if size < 1000:
        return f"{size} B"
    unit, scale = next(((unit, scale) for unit, scale in _UNITS if size < 999.5 * scale), _UNITS[-1])
    number = size / scale
    return f"{number:.1f} {unit}" if number < 9.95 else f"{number:,.0f} {unit}"
