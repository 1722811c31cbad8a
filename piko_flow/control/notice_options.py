"""How people are told that something is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class NoticeOptions:
    """`webhook` is an address that gets each notice as JSON by POST, and may hold a secret; `command` a program with
    its arguments that gets it on standard input. Without both nobody is told. `late`: how long a run may wait after its
    time before its flow is late. `letters`: open dead letters of a flow that are too many. `leaderless`: how long
    nobody may lead.
    """

    webhook: str = field(default="", repr=False)
    command: tuple[str, ...] = ()
    late: timedelta = timedelta(minutes=5)
    letters: int = 100
    leaderless: timedelta = timedelta(minutes=1)

    @property
    def wanted(self) -> bool:
        """Whether anybody is to be told."""
        return bool(self.webhook or self.command)
