"""Looking for what is wrong with flows and rows before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.flow_options import RESERVED
from piko_flow.control.flows.schedule_rows import Flows, understand, unreadable
from piko_flow.control.flows.system_row import read_system_row
from piko_flow.control.params.params import check_params, ignored_names, refusal_of
from piko_flow.errors import RequestRefused, describe_error
from piko_flow.planning.window import Window, newest_window
from piko_flow.store.records import ConfigRecord, ScheduleRecord

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or only worth a look: where, and what."""

    where: str
    told: str
    wrong: bool = True


def check_flows(flows: Iterable[Flow], now: datetime) -> Iterator[Finding]:
    """What is found when the pipeline of each flow is built, for its newest window and its model's defaults.

    Building does no I/O. What a flow needs of its row cannot be known here, and is no mistake.
    """
    for flow in flows:
        if flow.kind == "job":
            continue
        try:
            params = check_params(flow, None)
        except RequestRefused as error:
            yield Finding(f"flow {flow.name}", f"not built: {error}", wrong=False)
            continue
        try:
            flow.pipeline(params, window=_window(flow, now))
        except Exception as error:  # the user's function may raise anything
            yield Finding(f"flow {flow.name}", f"its pipeline cannot be built: {describe_error(error, 500)}")


def check_rows(
    schedules: Sequence[ScheduleRecord], configs: Sequence[ConfigRecord], flows: Flows, zone: str
) -> Iterator[Finding]:
    """What is found in the rows: those that are refused, names that are ignored, and flows nobody has registered."""
    for row in schedules:
        where = f"scheduled_job {row.flow}"
        understood = understand(row, flows, zone)
        if flows.get(row.flow) is None:
            yield Finding(where, "its code is not here", wrong=False)
        elif isinstance(understood, str):
            yield Finding(where, understood)
    for config in configs:
        flow = flows.get(config.flow)
        where = f"job_config {config.flow}"
        refused = unreadable(config)
        if config.flow == RESERVED:
            refused = refused or "; ".join(read_system_row(config.text).refused)
        if flow is not None:
            refused = refused or refusal_of(flow, config.text, config.schema_version)
        if refused:
            yield Finding(where, refused)
        elif flow is not None and (ignored := ignored_names(flow, config.text)):
            yield Finding(where, ignored, wrong=False)
        elif flow is None and config.flow != RESERVED:
            yield Finding(where, "its code is not here", wrong=False)


def check_lacking(flows: Iterable[Flow], configs: Sequence[ConfigRecord]) -> Iterator[Finding]:
    """Flows whose model has fields without a default and which have no row that sets them.

    It is no mistake where every run is triggered with its own.
    """
    rows = {config.flow for config in configs}
    for flow in flows:
        if flow.name in rows:
            continue
        try:
            check_params(flow, None)
        except RequestRefused as error:
            told = f"it has no row, so each run would fail that brings no params of its own: {error}"
            yield Finding(f"job_config {flow.name}", told, wrong=False)


def _window(flow: Flow, now: datetime) -> Window | None:
    if not flow.stateful:
        return None
    newest = None if flow.schedule is None else newest_window(flow.schedule, now=now)
    return newest or Window(now - HOUR, now)
