"""Secrets of tokens: how they are made, what is stored of them, and what a page gets that belongs to one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from piko_flow.url_passwords import TOKEN, TOKEN_PREFIX

RANDOM_BYTES: Final = 32
CHANGES: Final = b"piko-flow: changes that a browser makes"


def new_secret() -> str:
    """A secret that nobody can guess: `pf_` and 32 random bytes as base64url."""
    return TOKEN_PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def digest_of(secret: str) -> str | None:
    """The hex of the SHA-256 by which a token is found; None for a text that is no secret of ours.

    Plain SHA-256 is enough, since a secret of 256 random bits cannot be found by trying.
    """
    if TOKEN.fullmatch(secret) is None:
        return None
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def csrf_of(secret: str) -> str:
    """What each change made with a session has to carry: only who has the session's secret, or one of our pages that
    was shown to it, knows it."""
    made = hmac.new(secret.encode("ascii"), CHANGES, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode("ascii")


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
