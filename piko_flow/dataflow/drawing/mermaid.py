"""The graph as a Mermaid flowchart.

Each form of a drawing has a file of its own, so this one is as short as the form is simple.
"""

from __future__ import annotations

from piko_flow.dataflow.drawing.labels import Label, label_of
from piko_flow.dataflow.graph.boxes import graph_of
from piko_flow.dataflow.stages.cpu import CpuMap
from piko_flow.dataflow.stages.routing import Fork, Join, Merge, RouteFork
from piko_flow.dataflow.stages.stage import SinkLike, SourceLike, Stage

PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._,-")


def draw_mermaid(stage: Stage) -> str:
    """A flowchart from left to right; whatever a name holds, it is shown and never read as Mermaid or HTML."""
    graph = graph_of(stage)
    lines = ["flowchart LR"]
    for place in graph.boxes:
        opening, closing = _shape(place.stage)
        lines.append(f'    s{place.number}{opening}"{_words(label_of(place))}"{closing}')
    for edge in graph.edges:
        label = f'|"{escaped(edge.label)}"|' if edge.label else ""
        lines.append(f"    s{edge.start} -->{label} s{edge.end}")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """The text as Mermaid shows it: everything but letters, digits and a few marks becomes a character code."""
    return "".join(letter if letter in PLAIN else f"#{ord(letter)};" for letter in text)


def _words(label: Label) -> str:
    lines = [f"<b>{escaped(label.kind)}</b>" if label.kind else "", escaped(label.name)]
    if label.options:
        lines.append(f"<i>{escaped(', '.join(label.options))}</i>")
    return "<br/>".join(filter(None, lines)) or " "


def _shape(stage: Stage) -> tuple[str, str]:
    if isinstance(stage, Join):
        return "((", "))"
    if isinstance(stage, Fork | Merge):
        return ("{", "}") if isinstance(stage, RouteFork) else ("{{", "}}")
    if isinstance(stage, CpuMap):
        return "[[", "]]"
    if isinstance(stage, SourceLike):
        return "([", "])"
    return ("[(", ")]") if isinstance(stage, SinkLike) else ("[", "]")
