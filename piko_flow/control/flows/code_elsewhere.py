"""What is known of the code of a flow that this process does not have."""

from __future__ import annotations

from collections.abc import Callable

from piko_flow.store.records import RunRecord

NAME_IT = "Name its package with --package or the setting packages"


def not_here(last: RunRecord | None) -> str:
    """That the code is not here, and who ran the flow last, as far as that is known."""
    where = _where(last)
    return f"its code is not here; {where} ran it last" if where else "its code is not here"


def elsewhere(last: RunRecord | None, alive: Callable[[RunRecord], bool]) -> tuple[str, str]:
    """The same with whether the process of that run is alive, and what to do."""
    where = _where(last)
    if last is None or not where:
        return "its code is not here, and no run tells who has it", f"{NAME_IT}, or register it"
    if alive(last):
        advice = f"While that process has it, nothing needs to be done. To have it here, too: {NAME_IT[0].lower()}{NAME_IT[1:]}"
        return f"its code is not here; {where}, which is alive, ran it last", advice
    advice = f"Start a replica that has it: piko-flow serve with its package. To have it here: {NAME_IT[0].lower()}{NAME_IT[1:]}"
    return f"its code is not here; {where} ran it last, and is there no more", advice


def _where(last: RunRecord | None) -> str:
    return f"{last.host}, process {last.pid}" if last is not None and last.host else ""
