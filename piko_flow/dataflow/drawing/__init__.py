"""Pictures of a pipeline or of any part of one: text for terminals, Mermaid for documents, SVG for pages."""

from __future__ import annotations

from piko_flow.dataflow.drawing.mermaid import draw_mermaid
from piko_flow.dataflow.drawing.svg import draw_svg
from piko_flow.dataflow.drawing.text import draw_text

__all__ = ["draw_mermaid", "draw_svg", "draw_text"]
