"""What goes wrong with files, each error named for what happened."""

from __future__ import annotations

from functools import partial

from piko_flow.errors import PikoFlowError, PipelineError


class _Refused(PipelineError):
    """A PipelineError that is also one of the built-in errors with a constructor of their own."""

    def __reduce__(self) -> tuple[object, ...]:
        facts = {name: getattr(self, name) for name in ("what", "where", "rule", "got", "advice")}
        return partial(type(self), **facts), ()


class InputNotFound(_Refused, FileNotFoundError):
    """A path or pattern of a source names no readable file; raised when the run is planned, before it reads."""


class OutputRefused(PipelineError):
    """A sink may not write where it was told to, or not in that way; raised before it writes anything."""


class BrokenLine(PikoFlowError):
    """A line, or a record that begins in it, cannot be read. `line` counts from 1, `reason` names rule and value."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(file, line, reason)
        self.file, self.line, self.reason = file, line, reason

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class BrokenFile(PikoFlowError):
    """A file cannot be read as what its source expects, and no single line of it is to blame."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.file, self.reason = file, reason

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


class PartLost(PikoFlowError):
    """What a part prepared is gone or was changed, so it cannot be published."""

    def __init__(self, file: str, target: str, reason: str) -> None:
        super().__init__(file, target, reason)
        self.file, self.target, self.reason = file, target, reason

    def __str__(self) -> str:
        return f"{self.file}, prepared for {self.target}, {self.reason}; run again to write it anew"


class ObjectStoreFailed(PikoFlowError):
    """An object store could not be reached or refused a call, after the retries that the store is set up for."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.file, self.reason = file, reason

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


def with_path(error: OSError, path: str) -> OSError:
    """The same error of the operating system, naming the file it is about."""
    return OSError(error.errno, error.strerror, path)
