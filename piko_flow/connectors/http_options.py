"""The options that every stage has which calls a service, checked where they are given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Final, NoReturn, Protocol

from typing_extensions import TypedDict

from piko_flow.connectors.http_request import LARGEST, Asking
from piko_flow.connectors.rate_limit import RateLimit
from piko_flow.counting import whole_number
from piko_flow.known_names import did_you_mean
from piko_flow.retry import LONGEST_TIME, Retry, seconds
from piko_flow.url_passwords import SECRET_NAMES

RETRY: Final = Retry(attempts=5, first=0.5, limit=30)
TIMEOUT: Final = 60.0  # seconds of one attempt as a whole


class RequestOptions(TypedDict, total=False):
    """How requests are sent. `timeout` and `longest_wait` are in seconds, `secrets` names query parameters."""

    retry: Retry | None
    timeout: float | timedelta
    max_bytes: int
    longest_wait: float | timedelta
    rate: RateLimit | None
    secrets: Collection[str]


class Refuses(Protocol):
    """Raises the PipelineError that names a stage."""

    def __call__(self, rule: str, got: str, advice: str = "") -> NoReturn: ...


def asking(
    options: Mapping[str, Any], refuse: Refuses, *, repeatable: bool = False, own: Collection[str] = ()
) -> Asking:
    """How requests are sent by these options; refuses a bad one, and one that is neither known nor the stage's own."""
    names = [*own, *RequestOptions.__annotations__]
    for name in options:
        if name not in names:
            advice = did_you_mean(name, names)
            refuse(f"the options are {', '.join(names)}", f"got {name}=", advice)
    retry, rate, secrets = options.get("retry", RETRY), options.get("rate"), options.get("secrets", ())
    if retry is not None and not isinstance(retry, Retry):
        refuse("retry must be a Retry, or None for one attempt", f"got {retry!r:.80}")
    if rate is not None and not isinstance(rate, RateLimit):
        refuse("rate must be a RateLimit", f"got {rate!r:.80}")
    if isinstance(secrets, str) or not all(isinstance(one, str) for one in secrets):
        refuse("secrets must be a list of names of query parameters", f"got {secrets!r:.80}")
    return Asking(
        retry=retry or Retry(attempts=1),
        timeout=_seconds("timeout", options.get("timeout", TIMEOUT), refuse),
        max_bytes=whole_number("max_bytes", options.get("max_bytes", LARGEST), refuse),
        longest_wait=_seconds("longest_wait", options.get("longest_wait", 60.0), refuse),
        rate=rate,
        secrets=SECRET_NAMES | {one.casefold() for one in secrets},
        repeatable=repeatable,
    )


def _seconds(name: str, value: object, refuse: Refuses) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        refuse(f"{name} must be a number of seconds or a timedelta", f"got {value!r:.80}")
    if not 0 < seconds(value) <= LONGEST_TIME:
        refuse(f"{name} must be above 0 and at most {LONGEST_TIME:,} seconds", f"got {value!r:.80}")
    return seconds(value)
