"""Views that tell more than their fields, as JSON values: the same for commands and endpoints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from piko_flow.control.flows.flow import Flow
from piko_flow.control.params.secret_fields import SECRET
from piko_flow.control.params.shown_params import hidden

if TYPE_CHECKING:
    from piko_flow.control.operations.plane_backfills import BackfillView
    from piko_flow.control.operations.plane_triggers import TriggerPlan
    from piko_flow.store.ops_records import AuditRecord


def backfill_values(view: BackfillView) -> dict[str, Any]:
    """A backfill and how far it is."""
    return {
        "backfill": view.backfill,
        "counts": view.counts,
        "done": view.done,
        "left": view.left,
        "outcome": view.outcome,
    }


def trigger_plan_values(plan: TriggerPlan) -> dict[str, Any]:
    """What a trigger would do, secrets hidden."""
    return {"flow": plan.flow, "window": plan.window, "params": plan.shown, "earlier": plan.earlier}


def flow_values(flow: Flow | None) -> dict[str, Any] | None:
    """What the code says of a flow, with the JSON schema of its parameters; None for one without code."""
    if flow is None:
        return None
    return {
        "kind": flow.kind,
        "description": flow.description,
        "where": str(flow.site.origin),
        "tags": list(flow.tags),
        "stateful": flow.stateful,
        "backfill": flow.backfill,
        "strict_order": flow.strict_order,
        "after": flow.after,
        "timeout": flow.timeout,
        "params_schema": None if flow.params is None else params_schema(flow),
    }


def audit_values(change: AuditRecord) -> dict[str, Any]:
    """A change with what was and became as values; None where there is nothing."""
    return {
        "id": change.id,
        "at": change.at,
        "who": change.who,
        "via": change.via,
        "action": change.action,
        "subject": change.subject,
        "before": json.loads(change.before) if change.before else None,
        "after": json.loads(change.after) if change.after else None,
    }


def params_schema(flow: Flow) -> dict[str, Any]:
    """The JSON schema of the flow's parameters; a field that is a secret by its name has no default in it."""
    assert flow.params is not None
    schema: dict[str, Any] = _without_secrets(flow.params.model_json_schema())
    return schema


def _without_secrets(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_secrets(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _without_secrets(value) for name, value in schema.items()}
    for name, field in (plain.get("properties") or {}).items():
        if isinstance(field, dict) and (SECRET.search(name) or field.get("writeOnly")):
            told = {key: value for key, value in field.items() if key not in ("default", "examples", "const")}
            plain["properties"][name] = told
    if isinstance(plain.get("default"), dict):
        plain["default"] = hidden(None, plain["default"])
    return plain
