"""What goes wrong between us and a service, each error named for what happened."""

from __future__ import annotations

from typing import Final

from piko_flow.errors import PikoFlowError, shorten

SHOWN_BODY: Final = 200  # characters of an answer that a message shows


class HttpFailed(PikoFlowError):
    """A request did not give what was asked for. `url` is shown without its secrets.

    `passing` tells whether the same request may go better later.
    """

    passing = False

    def __init__(self, method: str, url: str, reason: str) -> None:
        super().__init__(method, url, reason)
        self.method, self.url, self.reason = method, url, reason

    def __str__(self) -> str:
        return f"{self.method} {self.url}: {self.reason}"


class NoAnswer(HttpFailed):
    """The service could not be reached, or did not answer in time; it may have received the request or not.

    `unsent` tells that it cannot have.
    """

    def __init__(
        self, method: str, url: str, reason: str, passing: bool = True, unsent: bool = False
    ) -> None:
        super().__init__(method, url, reason)
        self.args = (method, url, reason, passing, unsent)
        self.passing, self.unsent = passing, unsent


class BadStatus(HttpFailed):
    """The service answered with a status other than 2xx. `body` is the beginning of its answer.

    `retry_after` is how many seconds the service asks to wait, None where it does not say.
    """

    def __init__(
        self,
        method: str,
        url: str,
        status: int,
        body: str,
        retry_after: float | None = None,
        location: str | None = None,
    ) -> None:
        reason = f"status {status}"
        if location is not None:
            reason += f", which points to {location}; redirects are not followed, so name that address"
        elif body:
            reason += f", {shorten(body, SHOWN_BODY)}"
        super().__init__(method, url, reason)
        self.args = (method, url, status, body, retry_after, location)
        self.status, self.body, self.retry_after, self.location = status, body, retry_after, location
        self.passing = status == 429 or status >= 500


class BadAnswer(HttpFailed):
    """The service answered, but not with what it was expected to: too much, no JSON, no items where they should be."""


class BadPaging(HttpFailed):
    """The service's pages do not lead to an end: one came again, there are too many, or one is elsewhere."""
