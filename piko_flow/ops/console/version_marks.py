"""What has become of each version of a flow's parameters: in force, to come, or given up before its time came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from piko_flow.control.operations.plane_params import ParamsView
from piko_flow.store.records import ParamsVersion

IN_FORCE, TO_COME, GIVEN_UP = "in force", "to come", "given up"
TONES = {IN_FORCE: "success", TO_COME: "running", GIVEN_UP: "gap"}
"""The colour of each mark."""


def mark_of(version: ParamsVersion, view: ParamsView, newer: Sequence[ParamsVersion]) -> str:
    """The mark of a version; empty for one that was in force, or is refused. `newer` are all that came after it."""
    if view.version is not None and version.id == view.version.id:
        return IN_FORCE
    if any(version.id == one.id for one in view.coming):
        return TO_COME
    since = version.effective_from
    if since is None or version.refused:
        return ""
    begins = (_begins(one) for one in newer if not one.refused)
    return GIVEN_UP if any(at is not None and at <= since for at in begins) else ""


def _begins(version: ParamsVersion) -> datetime | None:
    """From when on the version held, if no newer one did."""
    return max((at for at in (version.seen_at, version.effective_from) if at is not None), default=None)
