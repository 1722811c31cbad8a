"""Which flows do not get on until a person acts, as a leader sees it without asking the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import replace
from datetime import datetime

from piko_flow.control.flows.flow_health import HELD_UP, Judge, Known, due_of, grouped
from piko_flow.control.flows.told_times import Times
from piko_flow.control.leader.reign import Reign
from piko_flow.control.replica.survey import SLICE, Seen, chained
from piko_flow.planning.zones import find_zone
from piko_flow.store.records import FlowRecord, RunRecord


def refused(reign: Reign, flows: Collection[str]) -> tuple[list[str], list[str]]:
    """Those of the flows whose schedule row, and those whose newest parameters are refused."""
    rows = [flow for flow in flows if (facts := reign.facts.get(flow)) is not None and facts.refused]
    newest = {flow: reign.params.newest(flow) for flow in flows}
    return rows, [flow for flow, version in newest.items() if version is not None and version.refused]


async def held_up(reign: Reign, seen: Seen, last: Mapping[str, RunRecord], now: datetime) -> dict[str, str]:
    """The flows that wait for another one which does not get on by itself, each with that one.

    They are judged as the pages judge them, by what the survey saw of their windows, which is of one moment. Of many
    flows the loop is given back now and then. Cancelled, it leaves nothing behind.
    """
    live = grouped(list(reign.live.values())) if seen.chained else {}
    known = dict[str, Known]()
    async for name in _in_turns(chained(reign)):
        known[name] = _known(reign, seen, last, live.get(name, ()), name, now)
    times = Times(find_zone(None))
    judge = Judge(known, now=now, paused_all=reign.paused_all, times=lambda _: times)
    found = dict[str, str]()
    async for name in _in_turns(known):
        health = judge.health(name)
        if any(one.word == HELD_UP for one in health.concerns):
            found[name] = health.upstream
    return found


async def _in_turns(names: Collection[str]) -> AsyncIterator[str]:
    """The names in order; others of the loop have their turn in between."""
    for number, name in enumerate(sorted(names), 1):
        yield name
        if number % SLICE == 0:
            await asyncio.sleep(0)


def _known(
    reign: Reign,
    seen: Seen,
    last: Mapping[str, RunRecord],
    live: tuple[RunRecord, ...],
    name: str,
    now: datetime,
) -> Known:
    schedule, state = reign.schedules.get(name), seen.chained.get(name)
    record = reign.facts.get(name, FlowRecord(name))
    if state is not None:
        record = replace(record, watermark=state.watermark)
    known = Known(
        flow=None if schedule is None else schedule.flow,  # without one it does not get on either
        understood=schedule,
        record=record,
        last=last.get(name),
        live=live,
        state=state,
    )
    return replace(known, due=due_of(known, now, reign.paused_all))
