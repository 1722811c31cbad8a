"""Who changes something, and what is kept of the change."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from piko_flow.control.flows.json_values import json_values
from piko_flow.store.ops_records import AuditRecord

LONGEST = 16_000
"""Characters of what something was, or became, that are kept."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and through what: cli, api or console. Without a name it is the system's user."""

    name: str = ""
    via: str = "cli"

    @property
    def who(self) -> str:
        """Their name."""
        return self.name or system_user()


def system_user() -> str:
    """The user of the operating system whose process this is, with the name of the computer."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        name = "somebody"
    return f"{name}@{socket.gethostname()}"


def audit_of(
    actor: Actor,
    action: str,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    by: str = "",
) -> AuditRecord:
    """The audit of a change; `by` is who it is, where that is told with the change."""
    return AuditRecord(by or actor.who, actor.via, action, subject, _text(before), _text(after))


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of both differs."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in names}, {name: after.get(name) for name in names}


def _text(values: Mapping[str, Any] | None) -> str:
    if values is None:
        return ""
    text = json.dumps(json_values(values), ensure_ascii=False)
    return text if len(text) <= LONGEST else json.dumps({"beginning": text[:LONGEST]}, ensure_ascii=False)
