"""The sinks of a run that commit together with its end, in one transaction of the ledger's database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from piko_flow.dataflow.stages.sink import Receipt, Sink, Staging, Transaction


@dataclass(frozen=True)
class _Waiting:
    sink: str
    stage: Sink[Any]
    receipts: Sequence[Receipt]


class LastTransaction:
    """Collects what the sinks of one run commit in its last transaction; whoever ends the run calls `write`.

    `ledger` is the URL of the ledger's database, without password. `staging` is where those sinks may put what
    they do not want to hold in memory.
    """

    def __init__(self, ledger: str, *, run: str, staging: Staging | None = None) -> None:
        self.ledger, self.staging, self._run = ledger, staging, run
        self._waiting: list[_Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def takes(self, stage: Sink[Any]) -> bool:
        """Whether the sink can commit in a transaction of the ledger's database."""
        return stage.target is not None and stage.copy_target().joins(self.ledger)

    def add(self, sink: str, stage: Sink[Any], receipts: Sequence[Receipt]) -> None:
        """Let the sink commit these receipts later."""
        self._waiting.append(_Waiting(sink, stage, receipts))

    async def write(self, transaction: Transaction) -> None:
        """Commit all in the order declared. May be called again, when the transaction did not come about.

        The error of the first sink that fails is raised as it is, with a note that names the sink: whoever owns
        the transaction tells by it whether trying again may help. All of it is to be rolled back then.
        """
        for one in self._waiting:
            try:
                await one.stage.copy_target().commit_in(transaction, one.receipts)
            except Exception as error:
                error.add_note(f"sink {one.sink!r} failed in the last transaction of run {self._run}")
                raise
