"""What a page showed, so that acting on something that has changed meanwhile is found out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from piko_flow.errors import RequestConflicts
from piko_flow.ops.console.forms import refuse, whole_field
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.seen import Seen

STATES = frozenset({"running", "paused", "cancelled", "done", "open", "replayed", "dropped"})


def seen_by(form: Mapping[str, str], *names: str) -> Seen:
    """What the page of this form showed. Raises RequestRefused where the form does not say it."""
    values = {name: form.get(f"seen_{name}", "") for name in names}
    for name, known in (("status", RunStatus.__members__), ("state", STATES)):
        if name in values and values[name] not in known:
            refuse(
                "change what a page shows",
                f"its form says the {name} that was seen",
                f"got {values[name]!r:.40}",
            )
    numbers = {
        name: whole_field(dict(form), f"seen_{name}", least=0)
        for name in ("attempt", "version")
        if name in values
    }
    return Seen(
        status=values.get("status"),
        attempt=numbers.get("attempt"),
        version=numbers.get("version"),
        state=values.get("state"),
    )


def conflict(what: str, seen: str, now: str) -> NoReturn:
    """Raise RequestConflicts for what only the console compares."""
    raise RequestConflicts(
        what=what,
        rule="it may not have changed since you looked at it",
        got=f"the page showed: {seen or 'nothing'}; now: {now}",
        advice="Look at it again, and decide anew",
    )
