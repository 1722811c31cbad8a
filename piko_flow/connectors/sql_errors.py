"""What goes wrong with databases, each error named for what happened."""

from __future__ import annotations

from typing import Final

from piko_flow.errors import PikoFlowError, PipelineError

REASON: Final = 300  # characters of what a driver said that a message shows


class SqlRefused(PipelineError):
    """A SQL source or sink was described, or is used, in a way that cannot work; nothing was read or written."""


class DatabaseFailed(PikoFlowError):
    """A database did not answer, or could not do what it was asked, and no single row is to blame.

    `what` was asked of the database at `url` (without its password), `reason` is what it said. What was asked is
    done as a whole or not at all; after a lost connection it is not known which.
    """

    def __init__(self, *, what: str, url: str, reason: str) -> None:
        super().__init__(what, url, reason)
        self.what, self.url, self.reason = what, url, reason

    def __str__(self) -> str:
        return f"could not {self.what} at {self.url}: {self.reason}"


class RowsRefused(PikoFlowError):
    """The table refused a row in the transaction in which the run ends, so none of the run's rows was written."""

    def __init__(self, *, table: str, reason: str) -> None:
        super().__init__(table, reason)
        self.table, self.reason = table, reason

    def __str__(self) -> str:
        return f"table {self.table} refused a row, so none of this run was written: {self.reason}"
