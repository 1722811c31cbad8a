"""Examples of fires and windows, worked out apart from this library: `what` in each file says how to read it."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any


def cases(name: str) -> list[dict[str, Any]]:
    """The examples of one of the files."""
    found = json.loads(Path(__file__).with_name(f"{name}.json").read_text(encoding="utf-8"))["cases"]
    assert isinstance(found, list)
    return found


def label(case: dict[str, Any]) -> str:
    """What a test of the example is called."""
    schedule = case.get("schedule") or case
    shown = schedule.get("crontab") or schedule.get("fields") or schedule.get("expr")
    return f"{case['group']}: {shown} in {case['tz']}"


def instant(text: str) -> datetime:
    """The instant that the examples write in ISO 8601."""
    return datetime.fromisoformat(text)
