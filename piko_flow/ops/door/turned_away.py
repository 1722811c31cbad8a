"""Why a request was not let in."""

from __future__ import annotations

import math
from collections.abc import Mapping

from piko_flow.errors import NotRunning, StoreUnavailable


class TurnedAway(Exception):
    """A request that the door does not let in: a status, what holds (`rule`), what came and what to do.

    Nothing of a secret is in it. It is answered by the door and leaves it never.
    """

    def __init__(
        self,
        status: int,
        title: str,
        *,
        rule: str,
        got: str,
        advice: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        text = f"{rule}; {got}"
        super().__init__(f"{text}. {advice}" if advice else text)
        self.status, self.title = status, title
        self.rule, self.got, self.advice = rule, got, advice
        self.headers: dict[str, str] = dict(headers or {})


class NotLoggedIn(TurnedAway):
    """No good token came with the request."""

    def __init__(self, got: str) -> None:
        super().__init__(
            401,
            "A token is needed",
            rule="everything but the probes needs a token",
            got=got,
            advice="Send `Authorization: Bearer` with a token that `piko-flow token create` has made, or log a "
            "browser in by the link that `piko-flow token link` prints",
            headers={"www-authenticate": 'Bearer realm="piko-flow"'},
        )


class TooOften(TurnedAway):
    """More requests than are allowed; good again after so many seconds."""

    def __init__(self, wait: float, *, rule: str, got: str) -> None:
        seconds = max(1, math.ceil(wait))
        super().__init__(
            429,
            "Too many requests",
            rule=rule,
            got=got,
            advice=f"Try again in {seconds} s",
            headers={"retry-after": str(seconds)},
        )


class NothingRuns(TurnedAway):
    """The application has not started, or has stopped: nobody can say who may come in."""

    def __init__(self, error: NotRunning) -> None:
        super().__init__(
            503,
            "It does not run" if error.advice else "It is starting",
            rule="an application answers while it runs",
            got=error.reason,
            advice=error.advice or "Try again in a moment",
            headers={"retry-after": "5"},
        )


class StoreAway(TurnedAway):
    """The store did not say who may come in."""

    def __init__(self, error: StoreUnavailable) -> None:
        super().__init__(
            503,
            "The database does not answer",
            rule="the database says who may come in",
            got=error.reason,
            advice="It works again when the database does; what is running goes on",
            headers={"retry-after": "5"},
        )
