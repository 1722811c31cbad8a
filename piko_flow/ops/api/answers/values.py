"""What answers of the API are made of; their fields are those that the commands print with --json."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, WithJsonSchema

Moment = Annotated[
    str, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-01T09:00:00+00:00"]})
]
"""A moment in UTC, ISO 8601 with its offset."""


class Answer(BaseModel):
    """What is told of something. What an answer does not name is not told, whatever a record has."""

    model_config = ConfigDict(extra="ignore")


class Window(Answer):
    """A span of event time, the end left out."""

    start: Moment
    end: Moment
