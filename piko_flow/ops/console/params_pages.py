"""Changing a flow's parameters: looked at, saved, rolled back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from piko_flow.control.flows.flow import Flow
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_params import shown_params
from piko_flow.control.params.exact_numbers import json_text
from piko_flow.control.params.masked_input import values_of, with_secrets, without_kept
from piko_flow.control.params.params import ParamsRefused, check_params
from piko_flow.control.params.shown_params import hidden
from piko_flow.ops.console.conflicts import seen_by
from piko_flow.ops.console.field_refused import about
from piko_flow.ops.console.flash import told
from piko_flow.ops.console.flow_address import flow_address
from piko_flow.ops.console.forms import form_of, refuse, whole_field
from piko_flow.ops.console.page_group import FlowPageGroup
from piko_flow.ops.console.params_form import differences, read_changes, unreadable
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.sentences import MARKED
from piko_flow.ops.visitor import AtLeast, Visitor
from piko_flow.planning.moment import read_moment
from piko_flow.planning.zones import find_zone
from piko_flow.store.ops_records import Role
from piko_flow.store.records import ParamsVersion

FORM = "params"
Written = tuple[ParamsVersion, tuple[ParamsVersion, ...]]
Operator = Annotated[Visitor, Depends(AtLeast(Role.OPERATOR))]


@dataclass(frozen=True, slots=True)
class Change:
    """What a form would change: names with both values, secrets hidden, and the values to write, None for no change.

    `refused` is the number of the row's version where that is refused: what is written takes its place.
    """

    lines: list[tuple[str, str, str]]
    values: dict[str, Any] | None
    refused: int | None = None


class ParamsPages(FlowPageGroup):
    """What the form of parameters sends."""

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=pages_route(self._view), include_in_schema=False)
        router.add_api_route("/flows/{name}/params/preview", self.preview, methods=["POST"])
        router.add_api_route("/flows/{name}/params", self.save, methods=["POST"])
        router.add_api_route("/flows/{name}/params/rollback", self.rollback, methods=["POST"])
        return router

    async def preview(self, request: Request, name: str, who: Operator) -> Response:
        """What would change, checked against the model; nothing is changed."""
        form = await form_of(request)

        async def preview() -> Response:
            change = await self._process.ask(lambda plane: _change(plane, name, form))
            if request.headers.get("HX-Request") == "true":
                return self._view.part(request, "diff_part.html", change=change)
            return self._view.page(request, "diff.html", change=change, name=name, section="/")

        return await self._page.unless_refused(request, name, FORM, form, preview)

    async def save(self, request: Request, name: str, who: Operator) -> Response:
        """Write what differs, if they are as the page showed them."""
        form = await form_of(request)

        async def write(plane: ControlPlane) -> Written:
            seen, change = seen_by(form, "version"), await _change(plane, name, form)
            if change.values is None and change.refused is None:
                refuse(
                    f"set params of {name!r}",
                    "something of them is changed",
                    "nothing differs from what holds",
                )
            by, since = plane.acting(who.name, who.via), await _since(plane, name, form)
            whole = plane.registered(name).params is None and change.values is not None
            given: dict[str, Any] = {"values" if whole else "changes": change.values or {}}
            made = await by.set_params(name, **given, effective_from=since, expected=seen)
            return made, await plane.given_up_params(made)

        async def save() -> Response:
            version, given_up = await self._process.ask(write)
            since = "for runs from now on"
            if version.effective_from is not None:
                since = f"for runs that are queued from {MARKED.at(version.effective_from)} on"
            text = f"Version {version.version} of the parameters holds {since}."
            return told(request, flow_address(name), text + _given_up(given_up))

        return await self._page.unless_refused(request, name, FORM, form, save)

    async def rollback(self, request: Request, name: str, who: Operator) -> Response:
        """Write an earlier version as the newest, if that is as the page showed it."""
        form = await form_of(request)
        version, number = whole_field(form, "version", least=0), whole_field(form, "number", least=1)

        seen = seen_by(form, "version")

        async def go_back(plane: ControlPlane) -> Written:
            by = plane.acting(who.name, who.via)
            made = await by.rollback_params(name, version, number=number, expected=seen)
            return made, await plane.given_up_params(made)

        made, given_up = await self._process.ask(go_back)
        text = f"The values of version {version} hold again, as version {made.version}."
        return told(request, flow_address(name), text + _given_up(given_up))


def _given_up(versions: Sequence[ParamsVersion]) -> str:
    """What is told of versions that were to come and never will; empty for none."""
    if not versions:
        return ""
    numbers = " and ".join(str(one.version) for one in versions)
    if len(versions) == 1:
        return f" Version {numbers}, which was to come, is given up."
    return f" Versions {numbers}, which were to come, are given up."


async def _since(plane: ControlPlane, name: str, form: Mapping[str, str]) -> datetime | None:
    """From when on they hold; None for at once. A time without an offset is of the flow's zone."""
    text = form.get("effective_from", "").strip()
    if not text:
        return None
    zone = find_zone(await plane.zone(name))
    with about("effective_from"):
        return read_moment(text, zone, "in force from")


async def _change(plane: ControlPlane, name: str, form: Mapping[str, str]) -> Change:
    """What the form would change. Refused, with all fields that are wrong, where the flow's model does not take it."""
    flow, view = plane.registered(name), await plane.params(name)
    changes, unread = read_changes(flow, form, view.values)
    known = values_of(view.version)
    base = None if view.version is None else view.version.text
    refused = None if view.refused is None else view.refused.version
    if unread:
        raise unreadable(flow, {**_misfits(flow, base, changes or {}, known), **unread})
    if flow.params is None:
        whole = known if changes is None else with_secrets(flow, changes, known)
        check_params(flow, json_text(whole))
        lines = differences(view.values, hidden(flow, whole))
        secrets = [one for one in whole if one in known and whole[one] != known[one]]
    else:
        whole = without_kept(flow, changes or {}, known)  # where stars stand for the secret that is there
        checked = check_params(flow, base, json_text(whole) if whole else None)
        lines, told = differences(view.values, shown_params(flow, checked)), hidden(flow, whole)
        secrets = [one for one in whole if told[one] != whole[one]]
    shown = {line[0] for line in lines}
    lines += [(one, "a secret", "another one") for one in secrets if one not in shown]
    return Change(lines, changes, refused)


def _misfits(
    flow: Flow, base: str | None, changes: Mapping[str, Any], known: Mapping[str, Any]
) -> Mapping[str, str]:
    """What the model does not take of the fields that could be read, by field."""
    try:
        check_params(flow, base, json_text(without_kept(flow, changes, known)))
    except ParamsRefused as error:
        return {name: told for name, told in error.fields().items() if name in changes}
    return {}
