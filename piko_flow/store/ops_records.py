"""What the store keeps for people and programs that operate flows: tokens, audits, logs, reports, episodes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TokenKind(StrEnum):
    """What a token is: one for programs, a link that logs a browser in once, or the session of that browser."""

    API = "api"
    LOGIN = "login"
    SESSION = "session"


class Role(StrEnum):
    """What who has a token may do: look; act on flows; also manage tokens. Each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token, without its secret: `digest` is the hex of the secret's SHA-256.

    It is good while it is not `revoked_at` and not past `expires_at`; a LOGIN token is revoked by being used. `parent`
    is the id of the API token by which a link or a session came about, 0 where there is none: it is revoked with that
    one, and good no longer than that one.
    """

    name: str
    digest: str
    role: Role
    kind: TokenKind = TokenKind.API
    id: int = 0
    created_by: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None
    parent: int = 0


@dataclass(frozen=True, slots=True)
class GoodToken:
    """A token that was good at this time of the store."""

    token: TokenRecord
    at: datetime


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One change: who made it, through what (cli, api, console), what it was, on what, and how that was and became.

    `before` and `after` are JSON texts without secrets, empty where there is nothing.
    """

    who: str
    via: str
    action: str
    subject: str
    before: str = ""
    after: str = ""
    id: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that was logged in a run: its number in the run grows."""

    at: datetime
    level: str
    logger: str
    message: str
    stage: str = ""
    attempt: int = 1
    number: int = 0


@dataclass(frozen=True, slots=True)
class RunDetail:
    """What an attempt leaves for people to read: its report as JSON, and lines for the log of its run."""

    run: int
    attempt: int = 1
    report: str | None = None
    lines: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer to a request with an idempotency key; `status` is 0 while the request is still being answered.

    `asked` is the digest of the request, so that the same key on another one is found out.
    """

    key: str
    who: str
    asked: str
    status: int = 0
    body: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """A state of affairs that was told to people once, and will be once more when it is over.

    `kind` and `subject` name it, such as "late" and a flow. `over_at` is None while it lasts.
    """

    kind: str
    subject: str
    told: str
    id: int = 0
    since: datetime | None = None
    over_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Untold:
    """An episode of whose begin, or end, nobody has noted that people were told."""

    episode: Episode
    begun: bool
    over: bool
