"""What the log tells of the sink behind a spool while it fails, without secrets."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final

from piko_flow.clock import Clock
from piko_flow.connectors.hidden_secrets import shown_url
from piko_flow.errors import describe_error
from piko_flow.url_passwords import HIDDEN

log = logging.getLogger("piko_flow.spool")

AGAIN: Final = 300.0  # seconds after which a failure that lasts is told again
APART: Final = 60.0  # seconds between the warnings of two failures, where a sink fails now and then
_TOLD: Final = 500  # characters of an error
_READ: Final = (
    5000  # characters of it that are looked through, more than are told: what is hidden shortens it
)
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_USER: Final = re.compile(r"(?<=://).*@")  # to the last "@", which errs on the side of showing too little
_NAMED: Final = re.compile(
    r"(\b\w*(?:password|passwd|pwd|secret|token|api_?key|authorization)\w*['\"]?\s*[=:]\s*(?:bearer\s+|basic\s+)?)"
    r"('[^']*'|\"[^\"]*\"|[^\s&]+)",
    re.IGNORECASE,
)


def shown_error(error: BaseException) -> str:
    """The error's type and message on at most 500 characters, without what looks like a secret; never raises.

    Hidden are user and password in addresses, and values after names such as `password=` and `token:`.
    """
    text = _URL.sub(lambda found: shown_url(_USER.sub("", found[0])), describe_error(error, _READ))
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    return text if len(text) <= _TOLD else text[: _TOLD - 1] + "…"


class Telling:
    """Warns when the sink of a spool begins to fail, then every five minutes while that lasts, and tells when it is over.

    Failures that follow each other within a minute, with lists between them that were written, are told once, so
    that a sink which fails now and then does not fill the log. `waiting` gives how many items wait.
    """

    def __init__(self, spool: str, *, waiting: Callable[[], int], clock: Clock) -> None:
        self._spool, self._waiting, self._clock = spool, waiting, clock
        self._warned_at: float | None = None
        self._lasts = False

    def failed(self, failing: str) -> None:
        """The sink has failed with this."""
        now = self._clock.monotonic()
        if self._warned_at is None or now - self._warned_at >= (AGAIN if self._lasts else APART):
            self._warned_at, self._lasts = now, True
            log.warning(
                "the sink of the spool %s fails: %s; %d items wait", self._spool, failing, self._waiting()
            )

    def took(self) -> None:
        """The sink has taken what it got."""
        if self._lasts:
            self._lasts = False
            log.info("the sink of the spool %s takes items again; %d wait", self._spool, self._waiting())
