"""What may be told of one attempt of a run."""

from __future__ import annotations

from piko_flow.control.line_redaction import LineRedaction, secrets_in
from piko_flow.control.redaction import Redaction


class ToldAttempt:
    """One attempt, as far as it has anything to tell. `params` are the run's, once they are known."""

    def __init__(self, redaction: Redaction) -> None:
        self._names = redaction
        self.params: object = None
        self._lines: LineRedaction | None = None

    @property
    def redaction(self) -> LineRedaction:
        """Hides what is secret in its texts; made with the first of them, which comes after the params."""
        if self._lines is None:
            self._lines = LineRedaction(self._names, secrets_in(self.params))
        return self._lines
