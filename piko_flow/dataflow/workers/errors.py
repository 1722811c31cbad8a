"""What can happen to an item on its way to a worker, there, and on the way back."""

from __future__ import annotations

from typing import Final

from piko_flow.errors import PikoFlowError

NOBODY_AWAITS: Final = (
    "the function of a CpuMap returned a coroutine, or something else to be awaited, and a worker process awaits nothing; "
    "return a value, or use Transform for asynchronous functions"
)


class RemoteError(PikoFlowError):
    """A function raised, in a worker, an error that cannot travel; this one tells what it was.

    `kind` is the error's type, by name, `message` what it said, `traceback` where it came from.
    """

    def __init__(self, kind: str, message: str, traceback: str = "") -> None:
        super().__init__(kind, message, traceback)
        self.kind, self.message, self.traceback = kind, message, traceback

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


class WorkerDied(PikoFlowError):
    """An item ended its worker process each time it was tried. `code` is minus the signal, or the exit code."""

    def __init__(self, item: str, cause: str, code: int) -> None:
        super().__init__(item, cause, code)
        self.item, self.cause, self.code = item, cause, code

    def __str__(self) -> str:
        return (
            f"the worker process that worked on {self.item} ended with {self.cause}, each time it was tried"
        )


class WorkersCannotStart(PikoFlowError):
    """Worker processes end before they are ready; what they print says why."""

    def __init__(self, program: str, cause: str) -> None:
        super().__init__(program, cause)
        self.program, self.cause = program, cause

    def __str__(self) -> str:
        return (
            f"worker processes ({self.program}) end with {self.cause} before they are ready; "
            "see what they wrote to standard error"
        )


class CannotSend(PikoFlowError):
    """An item cannot travel to a worker process."""

    def __init__(self, item: str, reason: str) -> None:
        super().__init__(item, reason)
        self.item, self.reason = item, reason

    def __str__(self) -> str:
        return f"{self.item} cannot travel to a worker process: {self.reason}"


class CannotReturn(PikoFlowError):
    """What the function made of an item cannot travel back from the worker process."""

    def __init__(self, item: str, reason: str) -> None:
        super().__init__(item, reason)
        self.item, self.reason = item, reason

    def __str__(self) -> str:
        return f"the result for {self.item} cannot travel back from its worker process: {self.reason}"
