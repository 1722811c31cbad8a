"""What the drivers raise, and what it means for whoever asked."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError

from piko_flow.errors import PikoFlowError, StoreUnavailable, describe_error
from piko_flow.store.sql.dialects import SqlDialect

# Classes of states: connection, authorisation, transaction, resources, locks, operator, system, corruption.
OUTAGES = frozenset({"08", "25", "28", "3D", "40", "53", "55", "57", "58", "XX"})
# SQLite: no such table or column; MariaDB: no such column.
ANSWERS = frozenset({1, 1054})
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


class NotConnected(Exception):
    """Carries what was raised before there was a connection, by whatever layer of the driver."""

    def __init__(self, error: Exception) -> None:
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


def driver_error(error: BaseException) -> BaseException:
    """What the driver raised."""
    if isinstance(error, NotConnected):
        return driver_error(error.error)
    return (error.orig or error) if isinstance(error, DBAPIError) else error


def code(error: BaseException) -> Any:
    """The number or state that the driver's error carries; None if it has none."""
    original = driver_error(error)
    arguments = getattr(original, "args", ())
    if arguments and isinstance(arguments[0], int):
        return arguments[0]  # MariaDB's errors have a state besides, which says less
    extended = getattr(original, "sqlite_errorcode", None)
    return getattr(original, "sqlstate", None) if extended is None else extended & 0xFF


def is_transient(error: BaseException, dialect: SqlDialect) -> bool:
    """Whether the same transaction, asked again, may succeed: it met another one and was undone."""
    return isinstance(error, (DBAPIError, NotConnected)) and code(error) in dialect.transient


def is_duplicate(error: BaseException, dialect: SqlDialect) -> bool:
    """Whether another transaction has made a row of the same key since this one looked."""
    return isinstance(error, Collided) or (isinstance(error, DBAPIError) and code(error) == dialect.duplicate)


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, so that nothing uncommitted was done."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_outage(error: BaseException) -> bool:
    """Whether the database could not be asked, rather than answered no."""
    if isinstance(error, DBAPIError) and not is_lost(error):
        found = code(error)
        if isinstance(found, str):
            return found[:2] in OUTAGES
        return isinstance(error, (OperationalError, InterfaceError, InternalError)) and found not in ANSWERS
    return True


def told(error: BaseException, what: str, secret: str | None) -> PikoFlowError:
    """The error of ours that says so, without the password."""
    reason = describe_error(driver_error(error), REASON)
    if secret:
        reason = reason.replace(secret, "******")
    if is_outage(error):
        return StoreUnavailable(what=what, reason=reason)
    return StatementRefused(what=what, reason=reason)
