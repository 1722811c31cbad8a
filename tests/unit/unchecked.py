"""The stages as someone without a type checker meets them: nothing is refused before it runs."""

from __future__ import annotations

from typing import Any

import piko_flow

Batch: Any = piko_flow.Batch
Broadcast: Any = piko_flow.Broadcast
CpuMap: Any = piko_flow.CpuMap
Filter: Any = piko_flow.Filter
FlatMap: Any = piko_flow.FlatMap
Fold: Any = piko_flow.Fold
Merge: Any = piko_flow.Merge
On: Any = piko_flow.On
Parse: Any = piko_flow.Parse
Retry: Any = piko_flow.Retry
Route: Any = piko_flow.Route
Sink: Any = piko_flow.Sink
Source: Any = piko_flow.Source
Throttle: Any = piko_flow.Throttle
Transform: Any = piko_flow.Transform
