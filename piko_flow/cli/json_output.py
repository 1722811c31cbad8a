"""Standard output for programs: one JSON document."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any


def write_json(values: Mapping[str, Any]) -> None:
    """Write one JSON document to standard output; a number that JSON cannot say becomes null, anything else its repr."""
    json.dump(plain(values), sys.stdout, indent=2, allow_nan=False, ensure_ascii=False, default=repr)
    sys.stdout.write("\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """The value with null for numbers that JSON cannot say, and with text for keys."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
