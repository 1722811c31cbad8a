"""Parameters of flows: in force, to come, refused, changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel

from piko_flow.control.flows.flow import Flow
from piko_flow.control.leader.params_book import ParamsBook
from piko_flow.control.operations.plane_part import PlanePart, missing, refuse
from piko_flow.control.params.exact_numbers import as_written, json_text
from piko_flow.control.params.field_names import overlaid
from piko_flow.control.params.masked_input import has_stars, with_secrets, without_kept
from piko_flow.control.params.params import (
    ParamsRefused,
    check_names,
    check_params,
    ignored_names,
    refusal_of,
)
from piko_flow.control.params.redaction import Redaction
from piko_flow.control.params.shown_params import hidden
from piko_flow.errors import RequestRefused
from piko_flow.store.records import ConfigRecord, ParamsVersion
from piko_flow.store.seen import Seen, check_seen

HISTORY = 1000  # versions that are looked at to find one by its number


@dataclass(frozen=True, slots=True)
class ParamsView:
    """A flow's parameters now.

    `values` are those that a run queued now would have, with the model's defaults, secrets hidden; `version` is
    where they come from, None for the defaults alone. `coming` are versions of a later time, the next one first.
    `refused` is the newest version where that cannot be used. `unseen` is the row where no poll has seen it yet.
    `lacking` is why a run would fail: the model has fields without a default and nobody has set them; else empty.
    `ignored` tells which names in the version in force the model does not have; empty without any. `row_version` is
    that of the row as it stands, 0 without a row: what who changes it next has seen.
    """

    flow: str
    values: dict[str, Any]
    version: ParamsVersion | None
    coming: tuple[ParamsVersion, ...]
    refused: ParamsVersion | None
    unseen: ConfigRecord | None
    zone: str
    lacking: str = ""
    ignored: str = ""
    row_version: int = 0


@dataclass(frozen=True, slots=True)
class SeenParams:
    """A version of the parameters with the values of its row, secrets hidden; None where it is no JSON object.

    With `deleted` the row was gone: from then on the model's defaults held.
    """

    version: ParamsVersion
    values: dict[str, Any] | None
    deleted: bool = False


class PlaneParams(PlanePart):
    """Show, set, history, rollback."""

    async def params(self, flow: str) -> ParamsView:
        """What is in force for the flow now, and what is about to be."""
        registered, now = self.registered(flow), await self.now()
        known = await self.store.params(flow)
        book = ParamsBook(known)
        version, coming = book.in_force(flow, now), book.coming(flow, now)
        newest = known[0] if known else None
        row = await self._params_row(flow)
        seen = newest is not None and row is not None and _same(newest, row)
        lacking = ""
        try:
            text = version.text if version is not None else None
            values = shown_params(registered, check_params(registered, text))
        except RequestRefused as error:
            if version is not None:
                raise
            values, lacking = {}, str(error)
        return ParamsView(
            flow,
            values,
            version,
            tuple(coming),
            newest if newest is not None and newest.refused else None,
            None if seen else row,
            await self.zone(flow),
            lacking,
            "" if version is None else ignored_names(registered, version.text),
            0 if row is None else row.version,
        )

    async def set_params(
        self,
        flow: str,
        *,
        values: Mapping[str, Any] | None = None,
        changes: Mapping[str, Any] | None = None,
        schema_version: int | None = None,
        effective_from: datetime | None = None,
        by: str = "",
        expected: Seen | None = None,
    ) -> ParamsVersion:
        """Write the flow's parameters: `values` instead of what is in force, or `changes` to it, field by field
        under whichever of its names.

        They are checked against the flow's model first. Stars in a secret's place keep the secret that is there. Runs
        queued from `effective_from` on have them, at once without one; runs queued before keep theirs. Gives the new
        version. Of what is `expected` the row has its version. Over a row that is refused, which `changes` never go
        over, empty `changes` write what is in force again.
        """
        registered, row = self.registered(flow), await self._params_row(flow)
        check_seen(f"set params of {flow!r}", expected, version=0 if row is None else row.version)
        usable = row is None or not refusal_of(registered, row.text, row.schema_version)
        if values is None and not changes and (usable or changes is None):
            refuse(f"set params of {flow!r}", "something of them is set", "nothing was given")
        check_names(registered, {**(values or {}), **(changes or {})})
        stars = has_stars(values or {}) or has_stars(changes or {})
        base = await self._base(registered, row, usable) if values is None or stars else {}
        whole = base if values is None else overlaid(registered, {}, with_secrets(registered, values, base))
        over = without_kept(registered, changes or {}, base)
        text = _text(registered, overlaid(registered, whole, over))
        if schema_version is None:
            schema_version = _schema(registered, row)
        written = await self._write(registered, text, schema_version, effective_from, expected)
        await self._params_changed("params.set", registered, row, written, by)
        return written

    async def _params_row(self, flow: str) -> ConfigRecord | None:
        return await self.store.config(flow)

    async def _params_changed(
        self, action: str, flow: Flow, old: ConfigRecord | None, new: ParamsVersion, by: str
    ) -> None:
        """Keep in the audit what the row held and what it holds, secrets hidden."""
        was, now = (
            {
                "version": one.version,
                "values": audited_values(flow, one.text, self.options.redact),
                "effective_from": one.effective_from,
            }
            for one in (old or new, new)
        )
        await self.changed(action, f"flow {flow.name}", before=was if old else None, after=now, by=by)

    async def _base(self, flow: Flow, row: ConfigRecord | None, usable: bool) -> dict[str, Any]:
        """What changes go over: the row, or what is in force where the row is for later or not `usable`."""
        now = await self.now()
        if row is None or (usable and (row.effective_from is None or row.effective_from <= now)):
            return _object(flow, None if row is None else row.text)
        version = ParamsBook(await self.store.params(flow.name)).in_force(flow.name, now)
        return _object(flow, None if version is None else version.text)

    async def params_history(self, flow: str, *, limit: int = 20) -> list[SeenParams]:
        """The versions of the flow's parameters that were seen, the newest first."""
        registered = self.registry.get(flow)
        found = await self.store.params(flow, limit=limit)
        return [SeenParams(one, hidden_text(registered, one.text), one.deleted) for one in found]

    async def rollback_params(
        self,
        flow: str,
        version: int,
        *,
        number: int | None = None,
        by: str = "",
        expected: Seen | None = None,
    ) -> ParamsVersion:
        """Write an earlier version's values as the newest version, in force at once; gives that. Versions that were to
        come are given up by it: `given_up_params` tells which.

        `version` is what the row had then; where it had other values under the same version, `number`, the id of
        the one that is meant, tells them apart. Of what is `expected` the row has its version.
        """
        registered, row = self.registered(flow), await self._params_row(flow)
        what = f"roll params of {flow!r} back to version {version}"
        seen = await self.store.params(flow, limit=HISTORY)
        found = [one for one in seen if one.version == version and not one.deleted]
        if number is not None:
            found = [one for one in found if one.id == number]
        if not found:
            advice = f"See them all: piko-flow params history {flow}"
            missing(what, "the version is one that was seen", "there is none of this number", advice)
        if len({one.text for one in found}) > 1:
            ids = ", ".join(str(one.id) for one in found)
            advice = "Say which with --id"
            refuse(
                what, "a number names one set of values", f"the row had several under it, ids {ids}", advice
            )
        written = await self._write(registered, found[0].text, found[0].schema_version, None, expected)
        await self._params_changed("params.rollback", registered, row, written, by)
        return written

    async def given_up_params(self, written: ParamsVersion) -> tuple[ParamsVersion, ...]:
        """The versions that were to come when this one was written and never will be in force, the next one first."""
        now = await self.now()
        earlier = [one for one in await self.store.params(written.flow) if one.id < written.id]
        since = written.effective_from or now
        coming = ParamsBook(earlier).coming(written.flow, now)
        return tuple(one for one in coming if one.effective_from is not None and one.effective_from >= since)

    async def _write(
        self,
        flow: Flow,
        text: str,
        schema_version: int,
        effective_from: datetime | None,
        expected: Seen | None,
    ) -> ParamsVersion:
        what, rule = f"set params of {flow.name!r}", "only params that can be used are written"
        try:
            check_params(flow, text, schema_version=schema_version)
        except ParamsRefused as error:
            raise ParamsRefused(
                places=error.places, own=error.own, what=what, rule=rule, got=str(error)
            ) from None
        except RequestRefused as error:
            refuse(what, rule, str(error))
        row = await self.store.set_config(
            flow.name, text, schema_version=schema_version, effective_from=effective_from, seen=expected
        )
        # Kept at once, so that history and triggers know it before a leader has polled.
        seen = ParamsVersion(flow.name, row.text, row.schema_version, row.effective_from, row.version)
        kept = await self.store.keep_params([seen])
        self.rows_changed()
        return kept[0]


def shown_params(flow: Flow, params: Any) -> dict[str, Any]:
    """Checked parameters as plain JSON values, secrets hidden."""
    values = params.model_dump(mode="json") if isinstance(params, BaseModel) else dict(params)
    return hidden(flow, values)


def hidden_text(flow: Flow | None, text: str) -> dict[str, Any] | None:
    """The values of a row's JSON text, secrets hidden; None where it is no JSON object."""
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return hidden(flow, values) if isinstance(values, dict) else None


def audited_values(flow: Flow | None, text: str | None, redact: Collection[str]) -> dict[str, Any]:
    """The values of a row's JSON text as an audit tells them: without secrets, and without the fields that the flow
    and the setting have `redact` name."""
    if text is None:
        return {}
    shown = hidden_text(flow, text)
    if shown is None:
        return {"unreadable": True}
    values: dict[str, Any] = Redaction.of(() if flow is None else flow.redact, redact).values(shown)
    return values


def _same(version: ParamsVersion, row: ConfigRecord) -> bool:
    return (version.text, version.schema_version, version.effective_from, version.version) == (
        row.text,
        row.schema_version,
        row.effective_from,
        row.version,
    )


def _object(flow: Flow, text: str | None) -> dict[str, Any]:
    """What a row's text says, as the ground for changes."""
    if text is None:
        return {}
    try:
        found = as_written(text, orjson.loads(text))
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        advice = "Give all of them as one JSON object instead"
        refuse(
            f"change params of {flow.name!r}",
            "the row holds a JSON object",
            "it holds something else",
            advice,
        )
    return found


def _text(flow: Flow, values: Mapping[str, Any]) -> str:
    try:
        return json_text(dict(values))
    except TypeError as error:
        refuse(f"set params of {flow.name!r}", "params are JSON values", str(error))


def _schema(flow: Flow, row: ConfigRecord | None) -> int:
    if flow.schema_version is not None:
        return flow.schema_version
    return 1 if row is None else row.schema_version
