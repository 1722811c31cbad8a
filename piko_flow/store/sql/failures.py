"""What the drivers raise, and what it means for whoever asked."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from piko_flow.errors import PikoFlowError, StoreUnavailable, describe_error
from piko_flow.store.sql.dialects import SqlDialect

REASON = 300  # characters of what a driver said that a message shows


class StatementRefused(PikoFlowError):
    """The database answered that what was asked is wrong: a value that does not fit, a table that is not there.

    `what` was asked; nothing was changed. Asking again gives the same answer.
    """

    def __init__(self, *, what: str, reason: str) -> None:
        super().__init__(f"the store refused to {what}: {reason}")
        self.what, self.reason = what, reason


class SinkFailed(Exception):
    """Carries what a sink raised inside a run's last transaction past everything that judges the store's own errors."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class Collided(Exception):
    """Another transaction did the same between two statements of this one; begun again, it will see that."""


class Unclear(Exception):
    """Carries what was raised while committing: nobody knows whether it was done, so nobody tries again."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class NotAnswered(Exception):
    """A statement took longer than anything here may take."""


def code(error: BaseException) -> Any:
    """The number or state that the driver's error carries; None if it has none."""
    original = error.orig if isinstance(error, DBAPIError) else error
    for name in ("sqlite_errorcode", "sqlstate", "pgcode"):
        if (found := getattr(original, name, None)) is not None:
            return found & 0xFF if name == "sqlite_errorcode" else found
    arguments = getattr(original, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def is_transient(error: BaseException, dialect: SqlDialect) -> bool:
    """Whether the same transaction, asked again, may succeed: it met another one and was undone."""
    return isinstance(error, DBAPIError) and code(error) in dialect.transient


def is_duplicate(error: BaseException, dialect: SqlDialect) -> bool:
    """Whether another transaction has made a row of the same key since this one looked."""
    return isinstance(error, Collided) or (isinstance(error, DBAPIError) and code(error) == dialect.duplicate)


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, so that nothing uncommitted was done."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_outage(error: BaseException) -> bool:
    """Whether the database could not be asked, rather than answered no."""
    if isinstance(error, DBAPIError):
        return is_lost(error) or isinstance(error, (OperationalError, InterfaceError, InternalError))
    return isinstance(
        error, (OSError, PoolExhausted, NotAnswered, Collided, EOFError, asyncio.IncompleteReadError)
    )


def told(error: BaseException, what: str, secret: str | None) -> PikoFlowError:
    """The error of ours that says so, without the password."""
    original = getattr(error, "orig", None) or error
    reason = describe_error(original, REASON)
    if secret:
        reason = reason.replace(secret, "******")
    if is_outage(error):
        return StoreUnavailable(what=what, reason=reason)
    return StatementRefused(what=what, reason=reason)
