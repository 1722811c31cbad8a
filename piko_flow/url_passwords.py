"""Secrets in URLs, and tokens of ours: hidden in whatever text is told of an error or logged."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "******"
"""What stands in a text in place of what is secret."""
SECRET_NAMES: Final = frozenset(
    [
        "access_key",
        "access_token",
        "api-key",
        "api_key",
        "apikey",
        "auth",
        "authorization",
        "client_secret",
        "code",
        "key",
        "password",
        "refresh_token",
        "secret",
        "sig",
        "signature",
        "token",
        "x-amz-credential",
        "x-amz-security-token",
        "x-amz-signature",
    ]
)
"""Parameters of a URL's query whose values are secret."""

SECRET_WORDS: Final = r"secret|passw(?:or)?d|passphrase|token|api[_-]?key|private[_-]?key|credential"
"""A pattern of what in a name tells that its value is secret."""
TOKEN_PREFIX: Final = "pf_"
TOKEN: Final = re.compile(rf"\b{TOKEN_PREFIX}[A-Za-z0-9_-]{{43}}")
"""The secret of a token of ours."""

# All parts have bounds, so that a text cannot be made that takes long.
# What stands before the host of a web address is a token as often as a user, and a password may have an "@" in it.
_WEB_USER: Final = re.compile(r"(?P<before>\bhttps?://)(?:[^\s/@?#]{1,256}@){1,4}", re.IGNORECASE)
# A port is no password. A password may have a "/" as drivers take it, and an "@" with more of it behind.
_PASSWORD: Final = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]{0,40}://[^\s:/@]{0,256}:)(?!\d{1,5}[/?#])"
    r"[^\s@]{1,2048}(?:@[^\s@/]{1,256}){0,4}(?=@)",
    re.IGNORECASE,
)
_NAMES: Final = "|".join(map(re.escape, sorted(SECRET_NAMES)))
_LIKE: Final = rf"[\w.-]{{0,64}}(?:{SECRET_WORDS}|signature)[\w.-]{{0,64}}"
_QUERY: Final = re.compile(
    rf"(?P<before>[?&](?:amp;)?(?:{_NAMES}|{_LIKE})=)[^&\s#\"'<>]{{1,4096}}", re.IGNORECASE
)


def without_url_passwords(text: str) -> str:
    """The text with ****** for each password in a URL such as `mysql://me:secret@host/orders`, for who logs in by a web
    address, for the values of a query's secret parameters, and for tokens and links of Piko Flow."""
    if "://" in text:
        text = _PASSWORD.sub(rf"\g<before>{HIDDEN}", _WEB_USER.sub(rf"\g<before>{HIDDEN}@", text))
    if "=" in text and ("?" in text or "&" in text):
        text = _QUERY.sub(rf"\g<before>{HIDDEN}", text)
    return TOKEN.sub(HIDDEN, text) if TOKEN_PREFIX in text else text
