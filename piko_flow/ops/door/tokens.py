"""Making and revoking tokens."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.errors import NotFound, RequestRefused
from piko_flow.ops.door.token_secrets import digest_of, new_secret
from piko_flow.store.ops_records import Role, TokenKind, TokenRecord
from piko_flow.store.ops_rules import is_good

LONGEST_NAME: Final = 64
NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
LINK_LASTS: Final = timedelta(minutes=10)


async def issue_token(
    plane: ControlPlane, name: str, role: Role, *, lasting: timedelta | None
) -> tuple[TokenRecord, str]:
    """A new token for programs with its secret, which is kept nowhere; without `lasting` it never expires.

    Raises RequestRefused for a name that a good token has already, so that a name in an audit is one token.
    """
    what = f"make a token {name!r:.80}"
    if not name.isprintable() or not 0 < len(name.strip()) == len(name) <= LONGEST_NAME:
        rule = f"a name has 1 to {LONGEST_NAME} printable characters, with no space around"
        raise RequestRefused(what=what, rule=rule, got=f"got {name!r:.80}")
    now = await plane.now()
    taken = [one for one in await plane.store.tokens() if one.name == name and is_good(one, now)]
    if taken:
        raise RequestRefused(
            what=what,
            rule="good tokens have different names",
            got=f"token {taken[0].id} has this one",
            advice=f"Choose another name, or revoke it: piko-flow token revoke {taken[0].id}",
        )
    secret = new_secret()
    expires = None if lasting is None else now + lasting
    wanted = TokenRecord(name, digest_of(secret) or "", role, created_by=plane.actor.who, expires_at=expires)
    made = await plane.store.add_token(wanted)
    await plane.changed("token.create", f"token {made.id}", after=_shown(made))
    return made, secret


async def issue_link(plane: ControlPlane, role: Role) -> str:
    """The secret of a link that logs one browser in, once, within ten minutes; as who asks for it."""
    secret, who = new_secret(), plane.actor.who
    digest, expires = digest_of(secret) or "", await plane.now() + LINK_LASTS
    wanted = TokenRecord(who, digest, role, TokenKind.LOGIN, created_by=who, expires_at=expires)
    made = await plane.store.add_token(wanted)
    await plane.changed("token.link", f"token {made.id}", after=_shown(made))
    return secret


async def revoke_token(plane: ControlPlane, which: str) -> TokenRecord:
    """Revoke the token of this number or, among the good ones, of this name, with the sessions that it opened.

    The number may be that of a link or a session, too, as audits tell it. Again changes nothing. Raises NotFound.
    """
    now, tokens = await plane.now(), await plane.store.tokens()
    named = next((one for one in tokens if one.name == which and is_good(one, now)), None)
    number = named.id if named is not None else int(which) if NUMBER.fullmatch(which) else 0
    known = named or next((one for one in tokens if one.id == number), None)
    if known is not None and known.revoked_at is not None:
        return known
    revoked = await plane.store.revoke_token(number) if number else None
    if revoked is None:
        what, rule = (
            f"revoke the token {which!r:.80}",
            "it is the number of a token, or the name of a good one",
        )
        raise NotFound(what=what, rule=rule, got="there is none such", advice="See piko-flow token list")
    await plane.changed("token.revoke", f"{_kind(revoked)} {revoked.id}", before=_shown(known or revoked))
    return revoked


def _kind(token: TokenRecord) -> str:
    return "session" if token.kind is TokenKind.SESSION else "token"


def _shown(token: TokenRecord) -> dict[str, Any]:
    return {"name": token.name, "role": token.role, "expires_at": token.expires_at}
