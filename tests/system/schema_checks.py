"""What schemathesis checks of the API besides what it checks of any: loaded by it, through SCHEMATHESIS_HOOKS."""

from __future__ import annotations

import os
from typing import Any

import schemathesis
from schemathesis import GenerationMode

SECRET = os.environ["SECRET_OF_A_FLOW"].encode()  # which tests/system/test_api_schema.py serves


@schemathesis.check
def what_the_description_allows_is_refused_by_a_rule_only(ctx: Any, response: Any, case: Any) -> None:
    """A request that fits the description is never told that it does not; rules that no description has may refuse it."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if response.status_code == 422:
        problem = response.json()
        assert problem["type"] != "urn:piko-flow:invalid", problem
    assert response.status_code != 400, response.text


@schemathesis.check
def no_secret_is_told(ctx: Any, response: Any, case: Any) -> None:
    """The secret of the flow's parameters is in no answer, whatever was asked."""
    assert SECRET not in response.content
    assert SECRET not in str(response.headers).encode()


@schemathesis.check
def every_error_is_a_problem(ctx: Any, response: Any, case: Any) -> None:
    """With its status, a type, a title, and words."""
    if response.status_code < 400 or case.method.upper() == "HEAD":
        return
    problem = response.json()
    assert response.headers["content-type"][0] == "application/problem+json"
    assert problem["status"] == response.status_code
    assert problem["title"]
    assert problem["detail"]
