"""A thousand flows, each of which says that it ran."""

from __future__ import annotations

from piko_flow import Flow
from tests.faults.control_flows import end_at_once

NAMES = [f"one_of_many_{number:04}" for number in range(1000)]

for name in NAMES:
    Flow.register(name, end_at_once)
