"""What goes wrong with spools, each error named for what happened."""

from __future__ import annotations

from piko_flow.counting import counted
from piko_flow.errors import PikoFlowError, PipelineError, shorten


class SpoolRefused(PipelineError):
    """A spool was written in a way that cannot work; raised before it accepts anything."""


class NotKept(PikoFlowError, TypeError):
    """An item cannot be kept in a spool, so none of its list was accepted.

    `index` counts in the list that was to be accepted, `reason` says what would not come back as it is.
    """

    def __init__(self, index: int, item: object, reason: str) -> None:
        super().__init__(index, reason)
        self.index, self.reason, self._shown = index, reason, shorten(item)

    def __str__(self) -> str:
        return f"item {self.index} of the list cannot be kept: {self.reason}; got {self._shown}"


class SpoolUnavailable(PikoFlowError, OSError):
    """The folder or the file of a spool cannot be written; what is being accepted was not accepted.

    What was accepted before is still there.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"the spool {self.path} cannot be written: {self.reason}"


class SpoolClosed(PikoFlowError, RuntimeError):
    """The spool is being closed and accepts nothing more."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the spool {name!r} is closed; nothing more is accepted")
        self.name = name


class TooManyFailed(PikoFlowError):
    """Stages behind a spool made more dead letters of one list than a run keeps; the list is written again in parts."""

    def __init__(self, failed: int, kept: int) -> None:
        super().__init__(failed, kept)
        self.failed, self.kept = failed, kept

    def __str__(self) -> str:
        return f"{counted(self.failed, 'item')} of a list failed for good, and only {self.kept:,} of them are known"


class BrokenSpool(PikoFlowError):
    """A spool file, or a list in it, cannot be read. `file` is where it lies, `reason` what was found."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.file, self.reason = file, reason

    def __str__(self) -> str:
        return f"the spool file {self.file} cannot be read: {self.reason}"
