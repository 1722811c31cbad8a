"""What was changed, by whom."""

from __future__ import annotations

from dataclasses import dataclass

from piko_flow.control.operations.plane_part import PlanePart, refuse
from piko_flow.store.ops_records import AuditRecord

MOST = 1000  # changes of one page


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Changes, newest first; `before` is what to ask the next page with, None after the last one."""

    changes: tuple[AuditRecord, ...]
    before: int | None


class PlaneAudits(PlanePart):
    """List changes."""

    async def audit(
        self, *, subject: str | None = None, before: int | None = None, limit: int = 100
    ) -> AuditPage:
        """One page of what was changed, newest first; `subject` is one thing, such as "flow orders" or "run 12".

        Refused for a page of more than 1,000 or fewer than 1.
        """
        if not 1 <= limit <= MOST:
            refuse("list changes", f"a page has 1 to {MOST} of them", f"{limit} were asked for")
        found = await self.store.audit(subject=subject, before=before, limit=limit)
        return AuditPage(tuple(found), found[-1].id if len(found) == limit else None)
