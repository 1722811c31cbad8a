"""Every example of fires comes out, however the schedule is written."""

from typing import Any

import pytest

from piko_flow.planning.cron import Cron
from piko_flow.planning.trigger import last_fire, next_fires
from tests.unit.schedule_vectors import cases, instant, label

CASES = cases("cron")


@pytest.mark.parametrize("case", CASES, ids=label)
def test_the_next_five_fires_are_those_of_the_example(case: dict[str, Any]) -> None:
    expected = [instant(text) for text in case["next"]]
    written = [Cron(case["crontab"], zone=case["tz"])] if case["crontab"] else []
    if case["fields"]:
        written.append(Cron(fields=case["fields"], zone=case["tz"]))
    assert written != []
    for trigger in written:
        assert next_fires(trigger, after=instant(case["base"]), n=5) == expected
        assert [last_fire(trigger, at=fire) for fire in expected] == expected


def test_the_examples_have_not_become_fewer() -> None:
    assert (len(CASES), len(cases("windows"))) == (57, 24)
