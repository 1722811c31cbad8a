"""Headers that tell a browser what our pages never do, put on every answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Header = tuple[bytes, bytes]

DIRECTIVES: Final = {
    "default-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
POLICY: Final = "; ".join(f"{name} {value}" for name, value in DIRECTIVES.items())
NEVER: Final = ("accelerometer", "camera", "display-capture", "geolocation", "microphone", "payment", "usb")
ALWAYS: Final[dict[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not "no-referrer": with it browsers send "Origin: null" with our own forms.
    "referrer-policy": "same-origin",
    "permissions-policy": ", ".join(f"{name}=()" for name in NEVER),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
UNLESS_SAID: Final[dict[str, str]] = {"cache-control": "no-store"}
YEAR: Final = "max-age=31536000"


def guarded(headers: Iterable[Header], *, secure: bool) -> list[Header]:
    """The headers of an answer with ours, which win; only how long it may be kept is the answer's own decision."""
    wanted = ALWAYS | ({"strict-transport-security": YEAR} if secure else {})
    own = [(name, value) for name, value in headers if name.decode("latin-1").lower() not in wanted]
    said = {name.decode("latin-1").lower() for name, _ in own}
    wanted |= {name: value for name, value in UNLESS_SAID.items() if name not in said}
    return own + [(name.encode("ascii"), value.encode("ascii")) for name, value in wanted.items()]
