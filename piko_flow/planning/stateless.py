"""Which fires of a stateless flow are due, which of them came too late, and which stand for others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice

from piko_flow.planning.interval import Interval
from piko_flow.planning.trigger import Trigger, fires, last_fire

INSTANT = timedelta(microseconds=1)
LEAST_GRACE = timedelta(seconds=1)
COUNTED = 10_000  # fires of a cron that are counted one by one; a range of more is said to hold so many


@dataclass(frozen=True, slots=True)
class FirePolicy:
    """How a stateless flow wants its fires planned.

    `grace`: how long after it was due a fire may still become a run; zero is one second. `coalesce`: fires that
    wait together become one run. `jitter`: by how much a fire may be put off. `bound`: rows a step.
    """

    grace: timedelta = timedelta(minutes=5)
    coalesce: bool = True
    jitter: timedelta = timedelta(0)
    bound: int = 1000


@dataclass(frozen=True, slots=True)
class DueFire:
    """One row: the fire at `at`, or all `fires` fires from `first` to it.

    `missed`: they are older than the grace and only recorded. The range is always exact; so is the count for
    intervals, while for crons a count of COUNTED means as many or more.
    """

    at: datetime
    fires: int = 1
    first: datetime | None = None
    missed: bool = False


def due_at(flow: str, fire: datetime, jitter: timedelta) -> datetime:
    """The fire put off by something in [0, jitter], on which all replicas agree without talking."""
    if jitter <= timedelta(0):
        return fire
    drawn = blake2b(f"{flow}\0{fire.isoformat()}".encode(), digest_size=4).digest()
    # In whole microseconds: hours of jitter times the number drawn are more than a timedelta holds.
    return fire + INSTANT * (jitter // INSTANT * int.from_bytes(drawn, "big") // 0xFFFFFFFF)


def next_due(
    flow: str, trigger: Trigger, *, after: datetime, jitter: timedelta
) -> tuple[datetime, datetime] | None:
    """The first fire after the instant, and when it is due; None when there is none any more."""
    fire = trigger.next_after(after)
    return None if fire is None else (fire, due_at(flow, fire, jitter))


def due_fires(
    flow: str, trigger: Trigger, *, after: datetime, now: datetime, policy: FirePolicy
) -> tuple[list[DueFire], datetime, bool]:
    """What became due after the fire at `after`: rows in order, the last fire they cover, and whether more is due.

    Fires become due in their own order: one that drew a long delay holds back those behind it. The grace counts
    from the latest instant to which the jitter may put a fire off. Those that are too late are one row; the
    others are one row too where they coalesce, else one each. The cost of a step is bounded by `bound` rows
    and by COUNTED fires, however long nobody planned.
    """
    rows = []
    overdue = now - max(policy.grace, LEAST_GRACE) - policy.jitter - INSTANT
    late = last_fire(trigger, at=overdue)
    if late is not None and late > after:
        rows.append(_together(trigger, after, late, missed=True))
        after = late
    if policy.coalesce:
        last, more = _last_due(flow, trigger, after, now, policy.jitter)
        if last > after:
            rows.append(_together(trigger, after, last))
        return rows, last, more
    room = max(policy.bound - len(rows), 0)
    due = list(islice(_due(flow, trigger, after, now, policy.jitter), room + 1))
    rows += [DueFire(fire) for fire in due[:room]]
    return rows, due[:room][-1] if due[:room] else after, len(due) > room


def _due(
    flow: str, trigger: Trigger, after: datetime, now: datetime, jitter: timedelta
) -> Iterator[datetime]:
    for fire in fires(trigger, after=after):
        if fire > now or due_at(flow, fire, jitter) > now:
            return
        yield fire


def _last_due(
    flow: str, trigger: Trigger, after: datetime, now: datetime, jitter: timedelta
) -> tuple[datetime, bool]:
    """The last fire that is due, else `after`; and whether the search ended before it found one that is not."""
    certain = last_fire(trigger, at=now - jitter)
    last = after if certain is None or certain < after else certain
    if jitter <= timedelta(0):
        return last, False
    drawn = list(islice(_due(flow, trigger, last, now, jitter), COUNTED))
    return (drawn[-1] if drawn else last), len(drawn) == COUNTED


def _together(trigger: Trigger, after: datetime, last: datetime, *, missed: bool = False) -> DueFire:
    first = trigger.next_after(after)
    if first is None or first >= last:
        return DueFire(last, missed=missed)
    if isinstance(trigger, Interval):
        count = (last - first) // trigger.every + 1
    else:
        count = 0
        for fire in islice(fires(trigger, after=after), COUNTED):
            if fire > last:
                break
            count += 1
    return DueFire(last, fires=count, first=first, missed=missed)
