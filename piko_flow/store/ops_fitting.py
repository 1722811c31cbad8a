"""What operating flows gives to a store, made fit for its columns before anything is written.

Each function raises RequestRefused for a name that does not fit its column, and ScheduleError for a datetime that is
naive or out of reach.
"""

from __future__ import annotations

from dataclasses import replace

from piko_flow.planning.moment import utc
from piko_flow.store.fitting import moment
from piko_flow.store.ops_records import AuditRecord, Episode, KeptAnswer, LogLine, TokenRecord
from piko_flow.store.texts import check, cut, readable

TOKENS = 1_000
"""How many tokens are listed at most."""
LINES = 10_000
"""How many lines of one run a store keeps at most."""


def fitting_token(token: TokenRecord) -> TokenRecord:
    """The token with the name of who made it cut."""
    check("token", token.name)
    check("digest", token.digest)
    created_by = cut("created_by", token.created_by)
    return replace(token, created_by=created_by, expires_at=moment(token.expires_at, "expires_at"))


def fitting_audit(record: AuditRecord) -> AuditRecord:
    """The record with its texts cut: what was changed is told, whatever it is called."""
    return replace(
        record,
        who=cut("changed_by", record.who),
        via=cut("via", record.via),
        action=cut("action", record.action),
        subject=cut("changed", record.subject),
        before=readable(record.before),
        after=readable(record.after),
    )


def fitting_answer(answer: KeptAnswer) -> KeptAnswer:
    """The answer as it may be kept."""
    check("key", answer.key)
    check("who", answer.who)
    check("asked", answer.asked)
    return replace(answer, body=readable(answer.body))


def fitting_line(line: LogLine) -> LogLine:
    """The line with its texts cut."""
    return replace(
        line,
        at=utc(line.at, "at"),
        level=cut("level", line.level),
        logger=cut("logger", line.logger),
        message=cut("message", line.message),
        stage=cut("stage", line.stage),
    )


def fitting_episode(episode: Episode) -> Episode:
    """The episode with what was told cut."""
    check("episode", episode.kind)
    check("subject", episode.subject)
    return replace(episode, told=cut("told", episode.told))
