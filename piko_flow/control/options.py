"""How a replica behaves, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from piko_flow.control.notice_options import NoticeOptions
from piko_flow.planning.lease import LEASE


@dataclass(frozen=True, kw_only=True)
class ReplicaOptions:
    """Times are timedeltas; the defaults let another replica lead within 11 seconds of a leader's death.

    `lease_name`, `lease`, `renew_every`: of leadership. `elected` False: this replica always leads, under a
    lease of its own, as if it were alone. `alive`: how long a replica counts as alive after a sign of life.
    `poll_every`: how often a replica looks for work; `reconcile_every`: how often rows are compared, drawn out
    by up to `reconcile_jitter`. `ahead`: how long before a fire is due its run is written and claimed, so that only
    the start is left to do then. `slots`: runs at once in this replica. `drain`: how long runs may finish when the
    replica stops. `execute`: "all" replicas run flows, or the "leader" alone. `pause_after`: failures in a row
    after which a flow's schedule is paused, 0 never. `group_limits`: runs at once by concurrency group. `zone`: of
    schedule rows that name none. `runs_kept_for` and `runs_kept`: what retention leaves of ended runs, by age and
    for each flow; None keeps them. `letters_kept_for`: how long dead letters are kept at most. `first_grace` and
    `first_instances`: what a row gets that is written for a flow which names none. `redact`: fields of items whose
    values are kept nowhere when an item fails. `letter_folder` takes up to `letter_room` bytes of large items that
    failed. `patient`: a store that cannot be opened at start is tried again. `address`: where this process answers HTTP.
    """

    lease_name: str = "default"
    lease: timedelta = LEASE
    renew_every: timedelta = timedelta(seconds=3)
    elected: bool = True
    alive: timedelta = timedelta(seconds=10)
    poll_every: timedelta = timedelta(seconds=1)
    ahead: timedelta = timedelta(milliseconds=100)
    reconcile_every: timedelta = timedelta(seconds=10)
    reconcile_jitter: timedelta = timedelta(seconds=2)
    slots: int = 100
    drain: timedelta = timedelta(seconds=30)
    execute: Literal["all", "leader"] = "all"
    pause_after: int = 0
    group_limits: Mapping[str, int] = field(default_factory=dict)
    zone: str = "UTC"
    runs_kept_for: timedelta | None = timedelta(days=30)
    runs_kept: int | None = 10_000
    letters_kept_for: timedelta | None = timedelta(days=30)
    redact: tuple[str, ...] = ()
    letter_folder: Path | None = None
    letter_room: int = 0
    prune_every: timedelta = timedelta(seconds=60)
    first_grace: timedelta = timedelta(seconds=300)
    first_instances: int = 1
    patient: bool = False
    address: str = ""
    blocked_after: timedelta = timedelta(seconds=5)
    """A call that holds the runs' loop longer than this is reported with its place."""
    notices: NoticeOptions = field(default_factory=NoticeOptions)
    """Whom to tell when something is wrong."""
