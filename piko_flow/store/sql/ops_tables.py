"""The tables of operations: who may come in, what was changed, what is kept with runs for people, what they were told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index

from piko_flow.store.sql.columns import big, instant, long_text, number, short
from piko_flow.store.sql.tables import OPTIONS, StoreTable
from piko_flow.store.texts import NAMES, TOLD


class TokenRow(StoreTable, table=True):
    """A token, without its secret."""

    __tablename__ = "piko_flow_token"
    __table_args__ = (
        Index("uq_piko_flow_token_digest", "digest", unique=True),
        Index("ix_piko_flow_token_kind", "kind", "id"),
        Index("ix_piko_flow_token_parent", "parent"),
        OPTIONS,
    )

    id: int = big(primary=True, counts=True)
    name: str = short(NAMES["token"])
    digest: str = short(NAMES["digest"])
    role: str = short(NAMES["role"])
    kind: str = short(NAMES["kind"])
    created_by: str = short(TOLD["created_by"], "")
    created_at: datetime = instant(now=True)
    expires_at: datetime | None = instant()
    revoked_at: datetime | None = instant()
    used_at: datetime | None = instant()
    parent: int = big(0)


class AuditRow(StoreTable, table=True):
    """One change that somebody made."""

    __tablename__ = "piko_flow_audit"
    __table_args__ = (
        Index("ix_piko_flow_audit_subject", "subject", "id"),
        Index("ix_piko_flow_audit_made_at", "made_at"),
        OPTIONS,
    )

    id: int = big(primary=True, counts=True)
    made_at: datetime = instant(now=True)
    made_by: str = short(TOLD["changed_by"], "")
    via: str = short(TOLD["via"], "")
    action: str = short(TOLD["action"])
    subject: str = short(TOLD["changed"])
    value_before: str = long_text(nullable=False)
    value_after: str = long_text(nullable=False)


class AnswerRow(StoreTable, table=True):
    """The answer to a request that had an idempotency key; its status is 0 while the request is being answered."""

    __tablename__ = "piko_flow_answer"
    __table_args__ = (Index("ix_piko_flow_answer_began_at", "began_at"), OPTIONS)

    asked_by: str = short(NAMES["who"], primary=True)
    request_key: str = short(NAMES["key"], primary=True)
    asked: str = short(NAMES["asked"])
    status: int = number(0)
    body: str = long_text(nullable=False)
    began_at: datetime = instant(now=True)


class LogRow(StoreTable, table=True):
    """A line that was logged in a run."""

    __tablename__ = "job_run_log"

    run_id: int = big(primary=True)
    line: int = big(primary=True)
    logged_at: datetime = instant(nullable=False)
    level: str = short(TOLD["level"])
    logger: str = short(TOLD["logger"], "")
    stage: str = short(TOLD["stage"], "")
    attempt: int = number(1)
    message: str = long_text(nullable=False)


class ReportRow(StoreTable, table=True):
    """The report of an attempt of a run, as JSON."""

    __tablename__ = "job_run_report"

    run_id: int = big(primary=True)
    attempt: int = big(primary=True)
    report: str = long_text(nullable=False)


class LiveRow(StoreTable, table=True):
    """What a run is at, as the replica that works on it shows it."""

    __tablename__ = "job_run_live"
    __table_args__ = (Index("ix_job_run_live_replica", "replica_id"), OPTIONS)

    run_id: int = big(primary=True)
    replica_id: str = short(NAMES["replica"], primary=True)
    shown: str = long_text(nullable=False)
    shown_at: datetime = instant(now=True)


class EpisodeRow(StoreTable, table=True):
    """A state of affairs that people were told of. `lasting` is 1 until it is over, and NULL from then on; so are
    `begun_waits` and `over_waits` until it has been noted that people were told of its begin, and of its end."""

    __tablename__ = "piko_flow_episode"
    __table_args__ = (
        Index("uq_piko_flow_episode_lasting", "kind", "subject", "lasting", unique=True),
        Index("ix_piko_flow_episode_over_at", "over_at"),
        Index("ix_piko_flow_episode_begun_waits", "begun_waits"),
        Index("ix_piko_flow_episode_over_waits", "over_waits"),
        OPTIONS,
    )

    id: int = big(primary=True, counts=True)
    kind: str = short(NAMES["episode"])
    subject: str = short(NAMES["subject"])
    told: str = long_text(nullable=False)
    since: datetime = instant(now=True)
    over_at: datetime | None = instant()
    lasting: int | None = number(1, nullable=True)
    begun_waits: int | None = number(1, nullable=True)
    over_waits: int | None = number(1, nullable=True)
