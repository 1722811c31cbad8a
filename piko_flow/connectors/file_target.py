"""What all sinks that write files have in common: parts beside the target, published in one step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext, suppress
from os import PathLike
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from piko_flow.connectors.content import Content
from piko_flow.connectors.file_commit import FileCommit, file_across
from piko_flow.connectors.file_errors import ObjectStoreFailed, OutputRefused
from piko_flow.connectors.local_place import LocalPlace
from piko_flow.connectors.object_store import StoreGiver, is_url, url_fault
from piko_flow.connectors.output_path import OutputPath
from piko_flow.connectors.place import PartInUse, PartWriter, Place
from piko_flow.connectors.uninterrupted import held_on_thread, on_own_thread
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.stages.sink import Part, Receipt, SinkTarget, T_contra
from piko_flow.known_names import unknown_options_refused

R = TypeVar("R")


@unknown_options_refused
class FileTarget(SinkTarget[T_contra], Generic[T_contra]):
    """A file that is replaced as a whole when the run commits, or not at all.

    `path` is a local path, or the URL of an object, such as "s3://bucket/orders/{flow}.csv", in `store`: an obstore
    store, or a function that gives one; without it obstore finds the store's settings in the environment.

    Each part is written to a hidden file in the target's folder, which is made if it is missing. `commit`
    renames (or copies) it to the target. The parts of several units are joined to one file, in the order of the
    units, unless the name holds `{unit}`: then each unit has a file of its own, and files of earlier runs with a
    higher unit number are removed. Committing again after a crash finishes what is left. Nothing is appended.

    With `{start}` and `{end}` in the name each window has a file of its own. A run removes the files of the flow
    whose windows lie inside its own, and is refused where one lies across its bounds. `{flow}` may stand anywhere.

    `open` raises OutputRefused where something stands that is not a file, or the path needs what the run does not
    have, and OSError or ObjectStoreFailed where the folder cannot be written. Subclasses define `write`, and may
    define the four hooks.
    """

    replaces = True

    def __init__(self, path: str | PathLike[str], *, store: StoreGiver = None) -> None:
        self.where = str(caller())
        if not isinstance(path, str | PathLike) or not Path(path).name:
            self.what = type(self).__name__
            self.refuse("a file sink needs the path of a file", f"got {path!r}")
        self.store = store
        if remote := is_url(path):
            self.output = OutputPath(str(path))
        else:
            self.output = OutputPath(str(Path(path).expanduser()))
        self.path = Path(self.output.text)
        self.name = self.output.name
        self.what = f"{type(self).__name__} {self.name!r}"
        rule, got = self.output.fault()
        if not rule:
            rule, got = url_fault(self.output.text, store) if remote else ("", "")
        if rule:
            self.refuse(rule, got)
        if store is not None and not remote:
            self.refuse("store= is for the URL of an object, such as s3://bucket/name", f"got {path}")
        self.file: PartWriter | None = None

    def refuse(self, rule: str, got: str, advice: str = "") -> NoReturn:
        """Raise the OutputRefused that names this sink, where it was written, the rule and what came."""
        raise OutputRefused(what=self.what, where=self.where, rule=rule, got=got, advice=advice)

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
        if lacking := self.output.lacks(part):
            self.refuse(lacking, f"got {self.output.text}")
        self.place = self._place()
        await self.at(self.place, self._begin)
        self.begin_part()

    async def append(self, data: bytes) -> None:
        """Add to the part's file. Raises OSError or ObjectStoreFailed, and has added nothing then."""
        file = self.opened()
        if file.slow:
            await on_own_thread(lambda: file.append(data))
        else:
            file.append(data)

    async def prepare(self) -> Receipt:
        """Bring the part to the disk. The event loop goes on meanwhile."""
        file = self.opened()
        content = await on_own_thread(self._finish)
        data = {
            "folder": self.place.address,
            "file": file.name,
            "target": self.output.target_name(self.part),
            "bytes": content.size,
            "crc32": content.crc32,
            **self.facts(),
        }
        return Receipt(self.part, self.items, data)

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        """Publish the parts; gives one line with their rows and size.

        Raises PartLost, OSError or ObjectStoreFailed, and OutputRefused, before anything is published, where another
        run has published a window meanwhile that lies across the bounds of this one's.
        """
        if not receipts:
            return []
        ordered = sorted(receipts, key=lambda receipt: receipt.part.number)
        place = self._place(ordered[0].data["folder"])
        return [await on_own_thread(lambda: self._publish(place, ordered))]

    async def abort(self) -> None:
        """Remove the part's file, and the folders made for it if nothing else is in them."""
        if self.file is not None:
            await self.at(self.place, self._discard)

    async def lock(self, run: str) -> AbstractContextManager[object] | AbstractAsyncContextManager[object]:
        """Keep sweeps from the parts of the run while the block is open, or its process lives."""
        place, name = self._place(), self.output.held_name(run)
        try:
            if place.remote:
                return await held_on_thread(lambda: place.hold(name))
            return place.hold(name)
        except (OSError, ObjectStoreFailed):  # where nothing can be written, opening a part says so
            return nullcontext()

    async def sweep(self, live: Collection[Part]) -> None:
        """Remove the hidden files of this sink that belong to no live part or run and that nobody is writing."""
        place = self._place()
        await self.at(place, lambda: self._sweep(place, live))

    def opened(self) -> PartWriter:
        """The file of the open part. Raises RuntimeError when none is open."""
        if self.file is None:
            raise RuntimeError(f"{self.what} has no open part")
        return self.file

    async def at(self, place: Place, work: Callable[[], R]) -> R:
        """Do what a place does, on a thread where it waits for a network."""
        return await on_own_thread(work) if place.remote else work()

    def _place(self, address: str | None = None) -> Place:
        """The place of the hidden files: the sink's folder, or the one that a receipt names."""
        if is_url(self.output.text):
            from piko_flow.connectors.object_place import object_place

            return object_place(address or self.output.folder, self.store, self.what, self.where)
        return LocalPlace(Path(address or self.output.folder).absolute())

    def _begin(self) -> None:
        part = self.part
        if fault := self.place.fault(self.output.target_name(part)):
            self.refuse("a file sink replaces files only", fault)
        self._refuse_across(self.place, part)
        compress = self.output.compress and self.compressible
        try:
            self.file = self.place.begin(
                self.output.part_name(part),
                run=self.output.sink_name(part.run),
                sink=part.sink,
                compress=compress,
            )
        except PartInUse:
            self.refuse("two sinks cannot write the same file", f"another one is writing {self.output.text}")

    def _refuse_across(self, place: Place, part: Part) -> None:
        if across := file_across(place, self.output, part):
            self.refuse(
                "a window replaces files whose windows lie inside it, and none that it overlaps otherwise",
                f"{across} lies across the bounds of {self.output.target_name(part)}",
                "Run the windows as they were, or remove that file first",
            )

    def _finish(self) -> Content:
        self.end_part()
        return self.opened().finish()

    def _publish(self, place: Place, receipts: list[Receipt]) -> str:
        self._refuse_across(place, receipts[0].part)
        return FileCommit(place, self.output, receipts, self.opening(receipts)).publish()

    def _discard(self) -> None:
        self.opened().discard()
        with suppress(OSError, ObjectStoreFailed):  # the folder is gone, or somebody else uses it
            self._forget_agreement()
        self.place.leave()

    def _sweep(self, place: Place, live: Collection[Part]) -> None:
        keep = self.output.live_names(live)
        names = self._unpublished(place)
        known = {part.run for part in live}  # of these runs, the live parts are all that is needed
        runs = {run for name in names if (run := self.output.held_by(name)) and place.in_use(name)}
        held = runs - known
        for name in names:
            theirs = any(self.output.is_of(name, run) for run in held)
            if name not in keep and not theirs and not place.in_use(name):
                place.remove(name)

    def _unpublished(self, place: Place) -> list[str]:
        return [name for name in place.names() if self.output.is_unpublished(name)]

    def _forget_agreement(self) -> None:
        """Remove what the parts of the run agreed on when the last of them is gone."""
        run = self.part.run
        if not any(self.output.belongs(name, run) for name in self._unpublished(self.place)):
            for name in self.output.shared_names(run):
                self.place.remove(name)
