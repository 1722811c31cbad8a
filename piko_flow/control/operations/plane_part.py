"""What all parts of the control plane share: the store, the flows, and how what is named is found."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, NoReturn, Protocol, Self

from piko_flow.clock import Clock
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.schedule_rows import Schedule, understand
from piko_flow.control.operations.audit import Actor, audit_of
from piko_flow.control.options import ReplicaOptions
from piko_flow.errors import NotFound, RequestRefused, ScheduleError
from piko_flow.planning.zones import find_zone
from piko_flow.store.batch import Batch, Decision
from piko_flow.store.protocols import Store
from piko_flow.store.records import NewRun, RunRecord, ScheduleRecord


class Asks(Protocol):
    """The replica in whose process the plane is, if there is one: what it can do faster than through the store."""

    async def queue(self, wanted: NewRun | Decision, /) -> tuple[bool, RunRecord | None]:
        """Queue at once if this replica leads; (False, None) if it does not."""
        ...

    def look_at_rows(self) -> None: ...
    async def cancel_here(self, run: int, /) -> None: ...


class PlanePart:
    """A part of the control plane. Every method raises RequestRefused with one message where a rule is broken,
    and StoreUnavailable; nothing is changed then.
    """

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry[Flow],
        options: ReplicaOptions,
        clock: Clock,
        replica: Asks | None = None,
        sinks: Collection[str] | None = None,
        failing_spools: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`sinks` are the names of the registered ones, None where they are not known. `failing_spools` gives the spools of
        this process whose sink does not take what it gets, each with what that last failed with.
        """
        self.store, self.registry, self.options, self.clock = store, registry, options, clock
        self.replica, self.sinks, self.failing_spools = replica, sinks, failing_spools
        self.actor = Actor()

    def acting(self, who: str, via: str) -> Self:
        """The same plane for changes that this person, or program, makes through `via`: cli, api or console."""
        other = copy.copy(self)
        other.actor = Actor(who, via)
        return other

    async def changed(
        self,
        action: str,
        subject: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        by: str = "",
    ) -> None:
        """Keep in the audit that something was changed; `before` and `after` hold no secrets."""
        record = audit_of(self.actor, action, subject, before=before, after=after, by=by)
        await self.store.add_audit([record])

    async def now(self) -> datetime:
        """The store's time."""
        return (await self.store.pulse(self.options.lease_name, "")).now

    async def schedule(self, flow: str) -> Schedule:
        """The flow's schedule as its row says. Refused when it has none, or one that cannot be used."""
        row = await self.row(flow)
        what = f"look up the schedule of {flow!r}"
        if row is None:
            advice = f"Make one: piko-flow schedule set {flow} --cron '0 * * * *'"
            refuse(
                what,
                "a stateful flow needs a schedule, which cuts its windows",
                "there is no row for it",
                advice,
            )
        understood = understand(row, self.registry, self.options.zone)
        if isinstance(understood, str):
            refuse(what, "its row must be usable", understood)
        return understood

    async def row(self, flow: str) -> ScheduleRecord | None:
        """The flow's row of `scheduled_job`; None when it has none."""
        found = await self.store.marked_schedules([flow])
        return found[0].row if found else None

    async def zone(self, flow: str | None = None) -> str:
        """The zone in which times of the flow are read and shown; that of the setting without a flow or a row."""
        row = await self.row(flow) if flow is not None else None
        return zone_of(row, self.options.zone)

    def registered(self, name: str) -> Flow:
        """The flow of this name. Refused when the code has none."""
        flow = self.registry.get(name)
        if flow is None:
            missing(f"find flow {name!r}", "a flow is registered in code", self.registry.unknown(name))
        return flow

    def rows_changed(self) -> None:
        """Let the replica of this process look at the rows at once; others see them with their next poll."""
        if self.replica is not None:
            self.replica.look_at_rows()

    async def queue(self, wanted: NewRun | Decision) -> RunRecord | None:
        """Through the leader in this process, else straight into the store, where the leader finds it."""
        if self.replica is not None:
            done, made = await self.replica.queue(wanted)
            if done:
                return made
        if isinstance(wanted, NewRun):
            written = await self.store.write(Batch("", queue=[wanted]))
            if written.refused:
                raise written.refused[0]
            return written.queued[0]
        decided = (await self.store.write(Batch("", decisions=[wanted]))).decided[0]
        if isinstance(decided, Exception):
            raise decided
        return decided[1][-1] if decided[1] else None


def zone_of(row: ScheduleRecord | None, setting: str) -> str:
    """The zone of a row where it names a known one, else that of the setting."""
    try:
        return find_zone(row.timezone).key if row is not None and row.timezone else setting
    except ScheduleError:  # the row is refused for it, and told so; its times can be shown all the same
        return setting


def refuse(what: str, rule: str, got: str, advice: str = "") -> NoReturn:
    """Raise RequestRefused."""
    raise RequestRefused(what=what, rule=rule, got=got, advice=advice)


def missing(what: str, rule: str, got: str, advice: str = "") -> NoReturn:
    """Raise NotFound."""
    raise NotFound(what=what, rule=rule, got=got, advice=advice)
