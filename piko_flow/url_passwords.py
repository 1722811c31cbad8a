"""Passwords in URLs: hidden in whatever text is told of an error."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "******"
"""What stands in a text in place of what is secret."""
# A port is no password. A password may have a "/" as drivers take it, and an "@" with more of it behind; all parts have
# bounds, so that a text cannot be made that takes long.
_PASSWORD: Final = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]{0,40}://[^\s:/@]{0,256}:)(?!\d{1,5}[/?#])"
    r"[^\s@]{1,2048}(?:@[^\s@/]{1,256}){0,4}(?=@)",
    re.IGNORECASE,
)


def without_url_passwords(text: str) -> str:
    """The text with ****** for each password in a URL such as `mysql://me:secret@host/orders`."""
    return _PASSWORD.sub(rf"\g<before>{HIDDEN}", text) if "://" in text else text
