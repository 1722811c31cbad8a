"""Who watches a replica: the figures that it adds to, and the spans of its runs where somebody gets them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from piko_flow.telemetry.figures import Figures

if TYPE_CHECKING:
    from piko_flow.telemetry.spans import Spans


@dataclass(frozen=True)
class Watched:
    """`surveys` says that somebody reads the figures, so that those which cost a statement are worth it."""

    figures: Figures = field(default_factory=Figures)
    spans: Spans | None = None
    surveys: bool = False
