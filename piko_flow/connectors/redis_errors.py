"""What goes wrong between us and a Redis server, each error named for what happened."""

from __future__ import annotations

from piko_flow.errors import PikoFlowError


class RedisFailed(PikoFlowError):
    """A Redis server could not be reached, did not answer in time or refused a command.

    `server` is its address without secrets. `passing` tells whether the same command may go better later.
    """

    def __init__(self, server: str, what: str, reason: str, passing: bool = False) -> None:
        super().__init__(server, what, reason, passing)
        self.server, self.what, self.reason, self.passing = server, what, reason, passing

    def __str__(self) -> str:
        return f"{self.server}: {self.what}: {self.reason}"


class EntriesLost(PikoFlowError):
    """Entries of a stream were removed before they were read."""

    def __init__(self, stream: str, position: str, reason: str) -> None:
        super().__init__(stream, position, reason)
        self.stream, self.position, self.reason = stream, position, reason

    def __str__(self) -> str:
        return (
            f"stream {self.stream!r}, read up to {self.position}: {self.reason}; "
            'to go on with what is there, give lost="skip"'
        )


class BrokenEntry(PikoFlowError):
    """An entry of a stream is not what it should be."""

    def __init__(self, stream: str, entry: str, reason: str) -> None:
        super().__init__(stream, entry, reason)
        self.stream, self.entry, self.reason = stream, entry, reason

    def __str__(self) -> str:
        return (
            f"stream {self.stream!r}, entry {self.entry}: {self.reason}; to settle such entries one by one, read them "
            "with of=StreamEntry and decode them in a stage of its own, with on_error there"
        )


class EntriesGone(PikoFlowError):
    """What a part has staged beside a stream is not all there, so none of it is moved into the stream."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(part, reason)
        self.part, self.reason = part, reason

    def __str__(self) -> str:
        return f"{self.part}: {self.reason}; run again to write it anew"
