"""What may be told of one attempt of a run."""

from __future__ import annotations

from collections.abc import Collection

from piko_flow.control.line_redaction import LineRedaction, secrets_in
from piko_flow.control.redaction import Redaction


class ToldAttempt:
    """One attempt, as far as it has anything to tell. `redact` are names of fields; `params` the run's, once known."""

    def __init__(self, *redact: Collection[str]) -> None:
        self._names = redact
        self.params: object = None
        self._lines: LineRedaction | None = None

    @property
    def redaction(self) -> LineRedaction:
        """Hides what is secret in its texts; made with the first of them, which comes after the params."""
        if self._lines is None:
            self._lines = LineRedaction(Redaction.of(*self._names), secrets_in(self.params))
        return self._lines
