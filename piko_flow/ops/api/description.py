"""The description of the API for programs (OpenAPI)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.routing import BaseRoute

from piko_flow.ops.api.answers.values import Answer
from piko_flow.ops.api.given import Body
from piko_flow.ops.problems import MEDIA_TYPE, Problem

INTRODUCTION = """
Everything that Piko Flow does for people, for programs: on any replica, with the same answers as the commands give
with `--json`. Times are ISO 8601 in UTC with their offset, spans are in seconds, windows are pairs of start and end.

Every request carries `Authorization: Bearer` with a token. Looking needs the role viewer, changing operator, ruling
over replicas and reading the audit admin. Whatever changes something takes an `Idempotency-Key`. Every error is a
problem (RFC 9457).
"""
TAGS = [
    {
        "name": "flows",
        "description": "What is registered in code or has rows: where it stands; to run it now.",
    },
    {"name": "schedules", "description": "When flows run."},
    {"name": "params", "description": "The parameters of flows."},
    {"name": "runs", "description": "What ran, runs and waits."},
    {"name": "backfills", "description": "A past range, run on request: planned first, then applied."},
    {"name": "dead letters", "description": "Items that failed for good."},
    {"name": "replicas", "description": "Who leads, and which replicas there are."},
    {"name": "audit", "description": "Who changed what."},
    {"name": "events", "description": "What happens to runs, as it happens."},
]
ERRORS: Mapping[int, str] = {
    400: "The request cannot be read",
    401: "No good token came with the request",
    403: "The token's role does not allow this",
    404: "What was asked about is not there",
    405: "This address takes other methods",
    409: "What was to be changed is another now, or the first request with this key is still being answered",
    413: "The body is too large",
    415: "The body does not say that it is JSON, by its Content-Type",
    422: "The request is against the description, or against a rule; nothing was changed",
    429: "Too many requests; the header Retry-After tells when to come again",
    500: "The request failed for a reason that is in the log of the replica",
    503: "The store or the leader does not answer now; the header Retry-After tells when to come again",
}


def responses() -> dict[int | str, dict[str, Any]]:
    """The errors that any request may be answered with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": text, "content": content} for status, text in ERRORS.items()}


def describe(routes: Iterable[BaseRoute], *, title: str, version: str) -> dict[str, Any]:
    """The whole description."""
    found = get_openapi(
        title=title, version=version, description=INTRODUCTION.strip(), routes=list(routes), tags=TAGS
    )
    parts = found.setdefault("components", {})
    parts.setdefault("schemas", {})["Problem"] = _problem(parts["schemas"])
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{"token": []}]
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    _complete_examples(parts["schemas"])
    return found


def _complete_examples(schemas: dict[str, Any]) -> None:
    """FastAPI takes every null out of a description, also out of examples, which are wrong without."""
    models: list[type[BaseModel]] = [Answer, Body]
    while models:
        model = models.pop()
        models += model.__subclasses__()
        extra = model.model_config.get("json_schema_extra")
        if isinstance(extra, dict) and "examples" in extra and model.__name__ in schemas:
            schemas[model.__name__]["examples"] = extra["examples"]


def _problem(schemas: dict[str, Any]) -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="validation")
    schemas.update(schema.pop("$defs", {}))
    return schema
