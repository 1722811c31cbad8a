"""Pictures of a pipeline or of any part of one: text for terminals, Mermaid for documents, SVG for pages.

Promises: the same graph gives the same picture; a name is shown as it is, and never read as Mermaid, HTML or SVG.
Does not plan and does not run: it draws the stages as they are written, not the operators that they become.

Start reading in `layers.py`, then `text.py`. May know the rooms stages, graph and reports.
"""

from __future__ import annotations

from piko_flow.dataflow.drawing.mermaid import draw_mermaid
from piko_flow.dataflow.drawing.svg import draw_svg
from piko_flow.dataflow.drawing.text import draw_text

__all__ = ["draw_mermaid", "draw_svg", "draw_text"]
