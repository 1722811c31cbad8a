"""How one attempt of a run ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.stages.sink import Transaction
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Ending
from piko_flow.store.records import DeadLetterRecord, RunRecord

Within = Callable[[Transaction], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended; times in milliseconds.

    `status` is SUCCESS, FAILED or CANCELLED; QUEUED says that the run goes back, as `reason` tells. `retryable`:
    another attempt may help. `decided`: what it prepared is to be committed, and another attempt does just
    that. `within` writes in the run's last transaction what its sinks have there; it may be called again. `replayed`:
    the dead letters that the run has taken are replayed, but for those in `again`.
    `more`: the slice of an unbounded source ended before its input did.
    """

    status: RunStatus
    reason: str = ""
    error_type: str = ""
    error_hash: str = ""
    error_msg: str = ""
    duration_ms: int = 0
    compute_ms: int = 0
    persist_ms: int = 0
    dead_items: int = 0
    dead_letters: tuple[DeadLetterRecord, ...] = ()
    replayed: bool = False
    again: tuple[DeadLetterRecord, ...] = ()
    position: str | None = None
    within: Within | None = None
    retryable: bool = False
    decided: bool = False
    more: bool = False
    report: RunReport | None = None

    @property
    def mark(self) -> Mark | None:
        """What becomes of the run's window; None leaves it a gap."""
        if self.status is RunStatus.SUCCESS:
            return Mark.INCOMPLETE if self.dead_items else Mark.DONE
        return Mark.FAILED if self.status is RunStatus.FAILED else None

    def ending(self, record: RunRecord) -> Ending:
        """What is written of it when it is the run's last attempt; one for several fires says so if nothing else is to be said."""
        joined = Reason.COALESCED if record.fires > 1 else ""
        return Ending(
            run=record.id,
            claim=record.claim,
            flow=record.flow,
            status=self.status,
            reason=self.reason or joined,
            window=record.window,
            mark=None if record.window is None else self.mark,
            duration_ms=self.duration_ms,
            compute_ms=self.compute_ms,
            persist_ms=self.persist_ms,
            error_type=self.error_type,
            error_hash=self.error_hash,
            error_msg=self.error_msg,
            dead_items=self.dead_items,
            dead_letters=self.dead_letters,
            replayed=self.replayed,
            again=self.again,
            position=self.position,
            within=self.within,
        )
