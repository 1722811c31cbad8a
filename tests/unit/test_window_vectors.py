"""Every example of windows comes out."""

import json
from typing import Any

import pytest

from piko_flow.planning.cron import Cron
from piko_flow.planning.trigger_row import trigger_from_row
from piko_flow.planning.window import windows
from tests.unit.schedule_vectors import cases, instant, label


@pytest.mark.parametrize("case", cases("windows"), ids=label)
def test_the_windows_are_those_of_the_example(case: dict[str, Any]) -> None:
    schedule = case["schedule"]
    triggers = [trigger_from_row(schedule["type"], json.dumps(schedule["expr"]), zone=case["tz"])]
    if schedule.get("crontab"):
        triggers.append(Cron(schedule["crontab"], zone=case["tz"]))
    for trigger in triggers:
        found = windows(
            trigger,
            watermark=instant(case["watermark"]) if case["watermark"] else None,
            now=instant(case["now"]),
            policy=case["policy"],
            limit=case["max_windows"],
        )
        assert [tuple(window) for window in found] == [(instant(a), instant(b)) for a, b in case["windows"]]
