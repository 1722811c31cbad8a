"""Items of a spool that failed for good, and who takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Spooled:
    """An item as a sink behind `Spool(sink, whole=True)` gets it: what was written, and by which run (empty for none).

    `key` is the same each time that the item is written, so that a sink can tell that it has it already.
    """

    payload: Any
    key: str
    flow: str = ""
    run: str = ""
    stage: str = ""


@dataclass(frozen=True, slots=True)
class SpooledLetter:
    """An item that the sink of a spool refused for good. `stage` is the sink in the run that wrote it.

    `behind` is empty where the payload is what was accepted. In a chain behind the spool it may be what earlier stages
    made of that: then `behind` is the stage that it failed at, and the payload must not enter the chain again.
    """

    spool: str
    payload: Any
    key: str
    flow: str
    run: str
    stage: str
    error_type: str
    error: str
    failed_at: datetime
    behind: str = ""


class DeadLetters(Protocol):
    """Who takes the dead letters of spools."""

    async def take(self, letters: Sequence[SpooledLetter], /) -> None:
        """Keep them for good.

        Raising leaves them in the spool, to be offered again; after a crash they may come twice.
        """
