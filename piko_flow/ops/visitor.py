"""Who asks something over HTTP, as the door has found out, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import Request

from piko_flow.errors import PikoFlowError
from piko_flow.store.ops_records import Role

RANK: Final = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}


class MayNot(PikoFlowError):
    """The visitor's role does not allow what was asked."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a good token: its name, its role and its id, and `via`, which is "api" or "console".

    `csrf` is what each change that a browser makes has to carry; empty for a program.
    """

    name: str
    role: Role
    via: str
    token: int
    csrf: str = ""

    def may(self, role: Role) -> bool:
        """Whether what needs this role is allowed."""
        return RANK[self.role] >= RANK[role]


def visitor(request: Request) -> Visitor:
    """The visitor that the door has let in with this request; for `Depends`. The door lets nobody else in."""
    found: Visitor = request.state.visitor
    return found


class AtLeast:
    """A dependency that gives the visitor. Raises MayNot for one of a lesser role."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: Request) -> Visitor:
        """As a coroutine function, which is awaited; a plain one would be called on a thread for each request."""
        return self.of(request)

    def of(self, request: Request) -> Visitor:
        """The visitor of the request. Raises MayNot for one of a lesser role."""
        found = visitor(request)
        if not found.may(self.role):
            raise MayNot(f"this needs the role {self.role}; the token {found.name!r} has {found.role}")
        return found
