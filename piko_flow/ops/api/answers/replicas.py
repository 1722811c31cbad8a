"""What the API tells of replicas, of who leads, and of what was changed."""

from __future__ import annotations

from typing import Any

from piko_flow.ops.api.answers.values import Answer, Moment


class Replica(Answer):
    """A process that schedules and runs flows; it counts as alive until `until`, or while it holds the lease.

    `address` is where it answers HTTP, empty where it does not say so.
    """

    id: str
    host: str
    pid: int
    slots: int
    running: int
    version: str
    started_at: Moment | None
    until: Moment | None
    address: str


class Lease(Answer):
    """Who leads, in which term, until when."""

    name: str
    holder: str
    term: int
    until: Moment


class LeaderView(Answer):
    """The lease, null before anybody has led, and the replicas. `leads` says whether its time has not run out."""

    name: str
    lease: Lease | None
    leads: bool
    elected: bool
    replicas: list[Replica]
    now: Moment


class LeaderAnswer(Answer):
    """Who leads, and who is there."""

    leader: LeaderView


class EndedLeaseAnswer(Answer):
    """The lease that was ended, as it was."""

    ended: Lease


class Change(Answer):
    """One change: who made it, through what, on what, and how that was and became; secrets are hidden."""

    id: int
    at: Moment | None
    who: str
    via: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditAnswer(Answer):
    """Changes, newest first; `before` asks for the next page, null after the last one."""

    changes: list[Change]
    before: int | None
