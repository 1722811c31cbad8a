"""What the benchmarks ask of the control half, and the one place where they touch it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DueAtOnce:
    """What came of many schedule rows due at the same instant; times in seconds.

    `stall` is the longest time in which one of the two loops did not come round.
    """

    seconds: float
    stall: float


@dataclass(frozen=True, slots=True)
class Reconciled:
    """`unchanged` is the time of a poll that finds all as it was, and `queries` what it asked; `changed` the time from
    the begin of the poll that finds one row changed until the new one is in force. Seconds."""

    unchanged: float
    queries: int
    changed: float


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements sent for each run, BEGIN and COMMIT not counted: with many runs in flight, and for one alone."""

    under_load: float
    alone: float


class ControlHalf:
    """Each method measures once, in a process of its own, on the database behind the URL.

    URLs name asynchronous drivers: sqlite+aiosqlite, mysql+asyncmy, postgresql+asyncpg. The database is empty but
    for what `prepare` made, and perhaps a million ended runs of flows that are not registered. Settings are the
    defaults unless a method says otherwise. A method checks in the tables what it measured (AssertionError).
    A figure is listed as soon as its method is written.
    """

    def prepare(self, url: str) -> None:
        """Make the tables in an empty database."""
        raise NotImplementedError

    async def empty_runs(self, url: str, *, count: int, in_flight: int) -> float:
        """The seconds from the first run queued until all are SUCCESS in the table.

        Runs of plain jobs that do nothing, through the whole of one replica, at most `in_flight` at once.
        """
        raise NotImplementedError

    async def due_to_start(self, url: str, *, each_second: int, seconds: int, together: bool) -> list[float]:
        """For each fire the seconds from its scheduled time to the first line of its run, in the leader's process.

        `together`: all of a second are due at its beginning; else evenly spread.
        """
        raise NotImplementedError

    async def due_at_once(self, url: str, *, rows: int) -> DueAtOnce:
        """So many schedule rows of plain jobs due in the same second; returns when all have run."""
        raise NotImplementedError

    async def reconcile(self, url: str, *, rows: int) -> Reconciled:
        """Polls over so many schedule rows."""
        raise NotImplementedError

    async def idle_queries(self, url: str, *, flows: int, seconds: int) -> float:
        """Queries a second that a replica sends which has so many flows, none of them due for hours."""
        raise NotImplementedError

    async def statements_per_run(self, url: str, *, count: int, in_flight: int) -> Statements:
        """Counted by what the store sends."""
        raise NotImplementedError

    async def takeover(self, url: str) -> float:
        """The seconds from a kill -9 of the leader's process until another replica leads."""
        raise NotImplementedError

    async def backfill(self, url: str, *, windows: int) -> float:
        """The seconds from applying a backfill of so many small windows until all are settled."""
        raise NotImplementedError

    def plan_year(self, *, flows: int) -> float:
        """The seconds for planning a year of hourly windows for so many flows."""
        raise NotImplementedError

    def further_columns(self) -> dict[str, str]:
        """For each column of job_run that an INSERT must name beyond the seed's, an SQL expression for ended runs."""
        return {}


def measured(name: str) -> bool:
    """Whether this method of PikoFlow is written."""
    from tests.benchmarks.control_piko_flow import PikoFlow

    return getattr(PikoFlow, name) is not getattr(ControlHalf, name)
