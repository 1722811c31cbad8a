"""What the drivers raise, and what it means for whoever asked."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError

from piko_flow.errors import PikoFlowError, StoreUnavailable, describe_error
from piko_flow.store.sql.dialects import SqlDialect
from piko_flow.url_passwords import HIDDEN

# PostgreSQL's classes of states: connection, authorisation, transaction, resources, locks, operator, system.
STATES = frozenset({"08", "25", "28", "3D", "40", "53", "55", "57", "58", "XX"})
# What MariaDB's server says that has nothing to do with what was asked: full, too many, denied, shut down, locked,
# read-only, killed, too slow. The driver gives all of its errors the same type.
SERVER = frozenset(
    {
        *(
            1020,
            1021,
            1037,
            1038,
            1040,
            1041,
            1042,
            1043,
            1044,
            1045,
            1047,
            1049,
            1053,
            1077,
            1078,
            1079,
            1114,
        ),
        *(
            1129,
            1130,
            1152,
            1153,
            1156,
            1157,
            1158,
            1159,
            1160,
            1161,
            1184,
            1203,
            1205,
            1206,
            1213,
            1223,
            1226,
        ),
        *(1290, 1317, 1436, 1698, 1792, 1836, 1927, 1969, 3024),
    }
)
CLIENT = range(2000, 2100)
ANSWERS = frozenset({1})  # of SQLite: no such table, no such column
# Of SQLite, and of its file: read-only, cannot be read, damaged, full, cannot be opened, no database.
OF_THE_FILE = frozenset({8, 10, 11, 13, 14, 26})
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


def is_answer(error: BaseException, dialect: SqlDialect) -> bool:
    """Whether it tells of the statement alone, and not of the database's state: another statement may do better."""
    return not is_lost(error) and code(error) not in dialect.transient | dialect.closed


def is_outage(error: BaseException) -> bool:
    """Whether the database could not be asked, rather than answered no."""
    if not isinstance(error, DBAPIError) or is_lost(error):
        return True
    found = code(error)
    if isinstance(found, str):
        return found[:2] in STATES
    if isinstance(found, int) and found >= 1000:
        return found in SERVER or found in CLIENT
    return isinstance(error, (OperationalError, InterfaceError, InternalError)) and found not in ANSWERS


def told(error: BaseException, what: str, secret: str | None, file: str = "") -> PikoFlowError:
    """The error of ours that says so, without the password; of SQLite with its file, where that is to blame."""
    reason = describe_error(driver_error(error), REASON)
    if file and code(error) in OF_THE_FILE:
        reason = f"{reason}: {file}"
    if secret:
        reason = reason.replace(secret, HIDDEN)
    if is_outage(error):
        return StoreUnavailable(what=what, reason=reason)
    return StatementRefused(what=what, reason=reason)
