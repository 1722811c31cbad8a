"""The page of one flow: everything it shows, also where a form on it was refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import zip_longest
from typing import Any

from fastapi import Request, Response

from piko_flow.control.flows.schedule_rows import Schedule
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_overview import FlowNow, flow_now
from piko_flow.control.operations.plane_params import ParamsView, SeenParams
from piko_flow.errors import NotFound, RequestRefused, ScheduleError
from piko_flow.ops.console import params_form, schedule_form, trigger_form
from piko_flow.ops.console.calendar import WORDS, calendar_of, scale_for, why_skipped
from piko_flow.ops.console.flow_graphs import FlowGraphs
from piko_flow.ops.console.live_rates import LiveRates
from piko_flow.ops.console.overview_rows import TONES
from piko_flow.ops.console.sentences import MARKED
from piko_flow.ops.console.stage_rows import stages_of
from piko_flow.ops.console.strip import BARS, strip_of
from piko_flow.ops.console.version_marks import TONES as TONES_OF_MARKS
from piko_flow.ops.console.version_marks import mark_of
from piko_flow.ops.console.view import View
from piko_flow.ops.console.wrong_form import Change, Wrong, wrong_form
from piko_flow.ops.process import Process
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.trigger import next_fires
from piko_flow.planning.zones import find_zone

FIRES = 6
VERSIONS = 10
SHOWN_RUNS = 10
CONFLICT = 409


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """What the page is made of: what is stored of the flow, what its row means, its parameters as they are and were."""

    now: FlowNow
    understood: Schedule | str | None
    params: ParamsView | None
    history: tuple[SeenParams, ...]

    @property
    def schedule(self) -> Schedule | None:
        """Its schedule, where its row can be used."""
        return self.understood if isinstance(self.understood, Schedule) else None


class FlowPage:
    """Makes the page of a flow."""

    def __init__(self, process: Process, view: View) -> None:
        self._process, self._view = process, view
        self._graphs, self._rates = FlowGraphs(), LiveRates()

    async def answer(
        self, request: Request, name: str, *, wrong: Wrong | None = None, status: int = 200
    ) -> Response:
        """The page, with a form that was refused as it was filled in."""
        facts = await self._process.ask(lambda plane: read_flow(plane, name, history=VERSIONS))
        if wrong is not None:
            again = _again(facts, wrong)
            wrong = replace(wrong, meanwhile=_meanwhile(facts, wrong, again.values()), again=again)
        values = await self._live(facts) | _windows(facts, request)
        values |= _schedule(facts, wrong) | _params(facts, wrong) | _trigger(facts, wrong) | {"wrong": wrong}
        return self._view.page(request, "flow.html", status=status, **values)

    async def live(self, name: str) -> dict[str, Any]:
        """What of it changes by itself: how it stands, its graph with its numbers, its last runs."""
        return await self._live(await self._process.ask(lambda plane: read_flow(plane, name, history=0)))

    async def unless_refused(
        self,
        request: Request,
        name: str,
        form: str,
        sent: Mapping[str, str],
        work: Callable[[], Awaitable[Response]],
    ) -> Response:
        """What the work answers; where it refuses, the page with this form as it was filled in, and what is wrong.

        Raises what was refused where only a piece of the page was asked for, and where there is no such flow.
        """
        try:
            return await work()
        except (RequestRefused, ScheduleError) as error:
            if isinstance(error, NotFound) or request.headers.get("HX-Request") == "true":
                raise
            wrong = wrong_form(form, sent, error)
        return await self.answer(request, name, wrong=wrong, status=wrong.told.status)

    async def _live(self, facts: FlowFacts) -> dict[str, Any]:
        now = facts.now
        live = now.live is not None
        stages, shown = None, now.live or now.report
        if shown is not None:
            stages = stages_of(shown[1])
            if live:
                stages = self._rates.now(shown[0], stages)
        graph = await self._graphs.of(now.flow)
        health = now.health_in(MARKED)
        state = now.state
        watermark = None if state is None else state.watermark
        return {
            "section": "/",
            "name": now.name,
            "flow": now.flow,
            "now": now.now,
            "health": health,
            "tone": TONES[health.word],
            "tones": TONES,
            "row": now.row,
            "paused": now.record.paused if now.record is not None else "",
            "paused_all": now.paused_all,
            "runs": now.runs[:SHOWN_RUNS],
            "strip": strip_of(now.runs),
            "live": now.live[0] if now.live is not None else None,
            "shown_run": shown[0] if shown is not None else None,
            "stages": stages,
            "picture": None if graph.picture is None else graph.picture.drawn(stages, live=live),
            "why_not_drawn": graph.why_not,
            "lag": None if watermark is None else now.now - watermark,
            "gaps": () if state is None else state.gaps(),
            "said_last": facts.schedule is not None and now.record is not None and bool(now.record.refused),
            "letters": now.letters,
            "backfills": now.backfills,
            "stateful": state is not None,
        }


async def read_flow(plane: ControlPlane, name: str, *, history: int) -> FlowFacts:
    """All that the page of a flow shows. Refused for one that nobody knows."""
    now = await flow_now(plane, name, runs=BARS)
    understood = now.known[name].understood
    if not history or now.flow is None:
        return FlowFacts(now, understood, None, ())
    seen = await plane.params_history(name, limit=history + 1)
    return FlowFacts(now, understood, await plane.params(name), tuple(seen))


def _windows(facts: FlowFacts, request: Request) -> dict[str, Any]:
    """The calendar, and what the form beside it begins with."""
    state: FlowState | None = facts.now.state
    if state is None:
        return {"calendar": None, "words": WORDS}
    asked = request.query_params
    schedule = facts.schedule
    scale = asked.get("scale", "")
    if scale not in ("hours", "days"):
        scale = scale_for(schedule.trigger if schedule else None, facts.now.now)
    calendar = calendar_of(
        state, now=facts.now.now, zone=find_zone(facts.now.zone), scale=scale, last=_date(asked.get("to", ""))
    )
    skipped = "" if schedule is None else why_skipped(schedule.windows)
    return {"calendar": calendar, "words": WORDS, "why_skipped": skipped}


def _schedule(facts: FlowFacts, wrong: Wrong | None) -> dict[str, Any]:
    schedule = facts.schedule
    coming = next_fires(schedule.trigger, after=facts.now.now, n=FIRES) if schedule is not None else []
    sent = wrong.sent if wrong is not None and wrong.form == "schedule" else None
    return {
        "schedule": schedule,
        "refused": facts.understood if isinstance(facts.understood, str) else "",
        "fires": coming,
        "kinds": schedule_form.KINDS,
        "labels": schedule_form.LABELS,
        "schedule_ids": {name: name for name in schedule_form.LABELS},
        "filled": schedule_form.filled(facts.now.row, sent),
        "zone": facts.now.zone,
    }


def _params(facts: FlowFacts, wrong: Wrong | None) -> dict[str, Any]:
    view = facts.params
    sent = wrong.sent if wrong is not None and wrong.form == "params" else None
    fields = params_form.fields_of(facts.now.flow, view.values) if view is not None else []
    versions_seen = [one.version for one in facts.history]
    versions = [
        {
            "seen": seen,
            "changes": params_form.differences(_values(older), _values(seen)),
            "mark": "" if view is None else mark_of(seen.version, view, versions_seen[:place]),
        }
        for place, (seen, older) in enumerate(zip_longest(facts.history, facts.history[1:]))
    ][:VERSIONS]
    return {
        "params": view,
        "fields": fields
        if sent is None
        else [params_form.as_sent(facts.now.flow, field, sent) for field in fields],
        "takes_none": view is not None and _takes_none(facts, view),
        "since": "" if sent is None else sent.get("effective_from", ""),
        "prefix": params_form.PREFIX,
        "versions": versions,
        "mark_tones": TONES_OF_MARKS,
        "params_version": 0 if view is None else view.row_version,
    }


def _trigger(facts: FlowFacts, wrong: Wrong | None) -> dict[str, Any]:
    sent = wrong.sent if wrong is not None and wrong.form == "trigger" else {}
    return {
        "run_params": trigger_form.as_sent(facts.now.flow, sent),
        "run_secrets": trigger_form.secrets_of(facts.now.flow),
        "secrets_prefix": trigger_form.SECRETS,
    }


def _values(seen: SeenParams | None) -> Mapping[str, Any] | None:
    return None if seen is None else seen.values


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _takes_none(facts: FlowFacts, view: ParamsView) -> bool:
    """Whether a run has no parameters: the model has no fields; or there is no model, and nothing is stored."""
    flow = facts.now.flow
    if flow is None or flow.params is None:
        return not view.values and view.refused is None
    return not flow.params.model_fields


def _meanwhile(facts: FlowFacts, wrong: Wrong, again: Iterable[str]) -> tuple[Change, ...]:
    """What of a form that came from an old page differs from what is there now; `again` are titles of secrets in it."""
    if wrong.told.status != CONFLICT:
        return ()
    if wrong.form == "schedule":
        return tuple(
            Change(schedule_form.LABELS[name], wrong.sent.get(name, "") or "empty", now or "empty")
            for name, now in schedule_form.filled(facts.now.row).items()
            if wrong.sent.get(name, "") != now
        )
    if wrong.form == "params" and facts.params is not None:
        fields = params_form.fields_of(facts.now.flow, facts.params.values)
        pairs = [(field, params_form.as_sent(facts.now.flow, field, wrong.sent)) for field in fields]
        shown = (
            Change(field.title, typed.value or "empty", field.value or "empty")
            for field, typed in pairs
            if typed.value != field.value
        )
        return (*shown, *(Change(title, "one that is not shown", "a secret") for title in again))
    return ()


def _again(facts: FlowFacts, wrong: Wrong) -> Mapping[str, str]:
    """The fields whose text no page shows again, with their titles: it has to be typed again."""
    flow, view = facts.now.flow, facts.params
    if wrong.form == "params" and view is not None:
        return params_form.to_type_again(flow, view.values, wrong.sent)
    if wrong.form == "trigger" and flow is not None:
        return trigger_form.to_type_again(flow, wrong.sent)
    return {}
