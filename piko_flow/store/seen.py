"""What somebody acts upon, as they saw it, so that a stale page changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields

from piko_flow.errors import RequestConflicts


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """How what is to be changed was when somebody looked at it; what is None they do not say.

    `status` and `attempt` are a run's, `version` is that of a row, 0 where there was none, `state` that of a backfill
    or of a dead letter.
    """

    status: str | None = None
    attempt: int | None = None
    version: int | None = None
    state: str | None = None


def check_seen(what: str, seen: Seen | None, **now: object) -> None:
    """Raise RequestConflicts where one of these facts is another one by now than was seen.

    Raises ValueError for what was seen of something that has no such fact.
    """
    if seen is None:
        return
    for name in (field.name for field in fields(seen)):
        value = getattr(seen, name)
        if value is None:
            continue
        if name not in now:
            raise ValueError(f"{what}: it has {' and '.join(now)}, so its {name} cannot have been seen")
        if now[name] != value:
            raise RequestConflicts(
                what=what,
                rule="it may not have changed since you looked at it",
                got=_changed(name, value, now[name]),
                advice="Look at it again, and decide anew",
            )


def _changed(name: str, was: object, now: object) -> str:
    if name == "version" and not was:
        return f"there was none then, and now there is version {now}"
    if name == "version" and not now:
        return f"it was version {was} then, and now there is none"
    return f"its {name} was {was} and is {now}"
