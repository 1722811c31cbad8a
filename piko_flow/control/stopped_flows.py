"""Which flows do not get on until a person acts, as a leader sees it without asking the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from piko_flow.control.flow_health import HELD_UP, Judge, Known, due_of, grouped
from piko_flow.control.reign import Reign
from piko_flow.control.survey import Seen
from piko_flow.control.told_times import Times
from piko_flow.planning.zones import find_zone
from piko_flow.store.records import FlowRecord, RunRecord


def refused(reign: Reign, flows: Collection[str]) -> tuple[list[str], list[str]]:
    """Those of the flows whose schedule row, and those whose newest parameters are refused."""
    rows = [flow for flow in flows if (facts := reign.facts.get(flow)) is not None and facts.refused]
    newest = {flow: reign.params.newest(flow) for flow in flows}
    return rows, [flow for flow, version in newest.items() if version is not None and version.refused]


def held_up(reign: Reign, seen: Seen, last: Mapping[str, RunRecord], now: datetime) -> dict[str, str]:
    """The flows that wait for another one which does not get on by itself, each with that one; as the pages judge it."""
    names: set[str] = set()
    for schedule in reign.schedules.values():
        if schedule.flow.after is not None:
            names |= {schedule.flow.name, schedule.flow.after}
    live = grouped(list(reign.live.values())) if names else {}
    known = {name: _known(reign, seen, last, live.get(name, ()), name, now) for name in names}
    times = Times(find_zone(None))
    judge = Judge(known, now=now, paused_all=reign.paused_all, times=lambda _: times)
    found = {name: judge.health(name) for name in sorted(names)}
    return {
        name: health.upstream
        for name, health in found.items()
        if any(one.word == HELD_UP for one in health.concerns)
    }


def _known(
    reign: Reign,
    seen: Seen,
    last: Mapping[str, RunRecord],
    live: tuple[RunRecord, ...],
    name: str,
    now: datetime,
) -> Known:
    schedule = reign.schedules.get(name)
    facts = reign.facts.get(name, FlowRecord(name))
    known = Known(
        flow=None if schedule is None else schedule.flow,  # without one it does not get on either
        understood=schedule,
        record=replace(facts, watermark=seen.watermarks.get(name, facts.watermark)),
        last=last.get(name),
        live=live,
    )
    return replace(known, due=due_of(known, now, reign.paused_all))
