"""What may be told of one attempt of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from piko_flow.control.params.line_redaction import LineRedaction, secrets_in
from piko_flow.control.params.redaction import Redaction
from piko_flow.control.runs.told_failure import ToldFailure
from piko_flow.telemetry.json_line import json_line


class ToldAttempt:
    """One attempt, as far as it has anything to tell. `redact` are names of fields; `params` the run's, once known."""

    def __init__(self, *redact: Collection[str]) -> None:
        self._names = redact
        self._params: object = None
        self.account: Mapping[str, Any] | None = None
        """That of its pipeline, once there is one."""
        self.failure: ToldFailure | None = None
        """What ended it, where that was an error."""
        self._lines: LineRedaction | None = None

    @property
    def params(self) -> object:
        """Those of the run, None before they are known."""
        return self._params

    @params.setter
    def params(self, params: object) -> None:
        self._params, self._lines = params, None

    @property
    def redaction(self) -> LineRedaction:
        """Hides what is secret in its texts, from any thread; made with the first of them."""
        if (lines := self._lines) is None:
            self._lines = lines = LineRedaction(Redaction.of(*self._names), secrets_in(self._params))
        return lines

    def hide(self, text: str) -> str:
        """The text without what is secret in it, as far as the params are known by now."""
        return self.redaction(text)

    def report(self) -> str | None:
        """Its report as JSON: the account of its pipeline and its `failure`; None where it has neither."""
        failure = {} if self.failure is None else {"failure": asdict(self.failure)}
        values = {**(self.account or {}), **failure}
        return json_line(values) if values else None
