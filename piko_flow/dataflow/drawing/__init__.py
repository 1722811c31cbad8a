"""Pictures of a pipeline or of any part of one: text for terminals, Mermaid for documents, SVG for pages."""

from __future__ import annotations

from piko_flow.dataflow.drawing.mermaid import draw_mermaid
from piko_flow.dataflow.drawing.svg import draw_svg
from piko_flow.dataflow.drawing.text import draw_text
from piko_flow.dataflow.stages.stage import Stage

__all__ = ["draw_mermaid", "draw_svg", "draw_text", "mimebundle"]


def mimebundle(stage: Stage) -> dict[str, str]:
    """What a notebook shows of a stage: the graph as a picture, and as text where pictures cannot be shown."""
    return {"image/svg+xml": draw_svg(stage), "text/plain": draw_text(stage)}
