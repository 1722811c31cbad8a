"""Names of things in a user's code as telemetry can send them: whatever a name is, it must not stop what tells of others."""

from __future__ import annotations


def label_value(name: str) -> str:
    """The name, with each half of a surrogate pair shown as a question mark: no format of metrics or spans has them."""
    return name if name.isascii() else name.encode("utf-8", "replace").decode()
