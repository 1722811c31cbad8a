"""What the API tells of parameters; secrets are hidden."""

from __future__ import annotations

from typing import Any

from piko_flow.ops.api.answers.values import Answer, Moment


class ParamsVersion(Answer):
    """A version of a flow's parameters that was seen; `refused` says why it is not used, empty if it is good."""

    flow: str
    schema_version: int
    effective_from: Moment | None
    version: int
    refused: str
    id: int
    seen_at: Moment | None


class ParamsRow(Answer):
    """The row of a flow's parameters as it stands. `unreadable` has each column whose cell nobody can read, and why."""

    flow: str
    schema_version: int
    effective_from: Moment | None
    version: int
    unreadable: list[list[str]]


class ParamsView(Answer):
    """A flow's parameters now.

    `values` are those that a run queued now would have; `version` is where they come from, null for the model's defaults.
    `coming` are later ones. `unseen` is a row that no replica has looked at yet. `lacking` is why a run would fail,
    `ignored` which names the model does not have. `row_version` is what a change expects: that of the row, 0 without.
    """

    flow: str
    values: dict[str, Any]
    version: ParamsVersion | None
    coming: list[ParamsVersion]
    refused: ParamsVersion | None
    unseen: ParamsRow | None
    zone: str
    lacking: str
    ignored: str
    row_version: int


class ParamsAnswer(Answer):
    """A flow's parameters."""

    params: ParamsView


class ParamsVersionAnswer(Answer):
    """The version that was written, and those that were to come and never will be in force because of it."""

    version: ParamsVersion
    given_up: list[ParamsVersion]


class SeenParams(Answer):
    """A version with its values; null where they are no JSON object. With `deleted` the row was gone."""

    version: ParamsVersion
    values: dict[str, Any] | None
    deleted: bool


class ParamsHistoryAnswer(Answer):
    """The versions that were seen, the newest first."""

    versions: list[SeenParams]
