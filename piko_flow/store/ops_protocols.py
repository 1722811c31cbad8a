"""What operating flows asks of a store, besides what the control half does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from piko_flow.store.ops_records import (
    AuditRecord,
    Episode,
    GoodToken,
    KeptAnswer,
    LogLine,
    RunDetail,
    TokenRecord,
    Untold,
)
from piko_flow.store.ops_rules import KEPT, LOST
from piko_flow.store.records import RunRecord


class DoorStore(Protocol):
    """Who may come in, and what they changed."""

    async def add_token(self, token: TokenRecord) -> TokenRecord:
        """Store a token; its id and `created_at` are given by the store, and it expires no later than its parent.

        Raises RequestRefused where it has a parent that is not good.
        """
        ...

    async def token(self, digest: str) -> TokenRecord | None:
        """The token of this digest if it is good now, by the store's clock."""
        ...

    async def good_tokens(self, digests: Collection[str]) -> list[GoodToken]:
        """Those of the tokens of these digests that are good now, in no order, with the time. One statement."""
        ...

    async def use_token(self, digest: str) -> TokenRecord | None:
        """Revoke the token of this digest if it is good now, and give it: of two who ask at once one gets it."""
        ...

    async def note_use(self, ids: Collection[int]) -> None:
        """Set `used_at` of these tokens to now."""

    async def tokens(self) -> list[TokenRecord]:
        """The API tokens, newest first, those among them that are not good any more."""
        ...

    async def revoke_token(self, token: int) -> TokenRecord | None:
        """Revoke a token, with the sessions that were opened by it; None where there is none. Again changes nothing."""
        ...

    async def keep_newest_sessions(self, parent: int, most: int) -> list[int]:
        """Revoke the sessions that this token opened but for the newest `most` of those that are good; gives which."""
        ...

    async def add_audit(self, records: Sequence[AuditRecord]) -> None:
        """Store what was changed; id and time are given by the store."""

    async def audit(
        self, *, subject: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[AuditRecord]:
        """What was changed, newest first; those with ids below `before`."""
        ...

    async def begin_answer(
        self, answer: KeptAnswer, *, kept: timedelta = KEPT, lost: timedelta = LOST
    ) -> KeptAnswer | None:
        """Note that a request is being answered; gives the one of the same key and person that is there, or None.

        One that was begun longer ago than `kept`, or than `lost` without an answer, is replaced by the note: of all
        who ask at once one gets None.
        """
        ...

    async def end_answer(self, answer: KeptAnswer) -> None:
        """Keep the answer, by key and person; one with status 0 is forgotten, so that the request can be made again."""


class RunDetailStore(Protocol):
    """What is kept with a run for people to read."""

    async def keep_details(self, details: Sequence[RunDetail]) -> None:
        """Keep reports by attempt, where again replaces, and append lines to logs, where numbers are given in order. One
        transaction, whose statements do not grow with the details. Of a run that is not there nothing is kept, nor are
        lines beyond a run's first 10,000."""

    async def log(self, run: int, *, after: int = 0, limit: int = 500) -> list[LogLine]:
        """The lines of a run with numbers above `after`, in order."""
        ...

    async def last_lines(self, runs: Collection[int]) -> dict[int, int]:
        """The number of the last line of each run's log; a run without lines is left out. One statement."""
        ...

    async def reports(self, run: int) -> dict[int, str]:
        """The reports of a run by attempt."""
        ...

    async def show_live(self, replica: str, texts: Mapping[int, str]) -> None:
        """What a replica's runs are at, as JSON by run: replaces all that it showed before, in one transaction."""

    async def shown_live(self, runs: Collection[int]) -> dict[int, tuple[datetime, str]]:
        """What these runs were last shown to be at, with the time; those that nobody shows are left out."""
        ...

    async def recent_runs(self, flows: Collection[str], each: int) -> dict[str, list[RunRecord]]:
        """The newest `each` runs of each flow, newest first; one that never ran is left out. One statement, whose
        cost does not grow with the runs that are kept."""
        ...


class NoticeStore(Protocol):
    """What people were told."""

    async def open_episodes(self) -> list[Episode]:
        """Those that last."""
        ...

    async def begin_episode(self, episode: Episode) -> Episode | None:
        """Begin an episode, unless one of the same kind and subject lasts: None then."""
        ...

    async def end_episode(self, episode: int) -> bool:
        """End an episode; whether it lasted until now."""
        ...

    async def untold_episodes(self, *, before: datetime, limit: int) -> list[Untold]:
        """Those that began, or ended, before this, and of which nobody has noted that people were told so; oldest first."""
        ...

    async def note_told(self, *, begun: Collection[int], over: Collection[int]) -> None:
        """Note that people were told of the begin, or the end, of these episodes. Again changes nothing."""

    async def prune_operations(
        self, *, before: datetime | None, answers: datetime, tokens: datetime, limit: int
    ) -> int:
        """Delete audits and ended episodes from before `before`, all of which are kept without one, answers to requests
        from before `answers`, and tokens that have not been good since before `tokens`; at most `limit` a call. Gives
        how many went. Logs, reports and what is shown live go with their runs and replicas."""
        ...


class OpsStore(DoorStore, RunDetailStore, NoticeStore, Protocol):
    """All that operating flows asks."""
