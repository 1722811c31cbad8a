"""The colours and fonts of the SVG picture."""

from __future__ import annotations

from piko_flow.dataflow.stages.batch import Batch, Fold, Throttle
from piko_flow.dataflow.stages.cpu import CpuMap
from piko_flow.dataflow.stages.routing import Fork, Merge
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage import Stage

# For each family of stages the colour of its mark on a light and on a dark page.
FAMILIES = {
    "source": ("#0d8f6f", "#34d3a6"),
    "call": ("#2563eb", "#7aa5ff"),
    "cpu": ("#8b3fd9", "#c193ff"),
    "gather": ("#53667f", "#9fb2ca"),
    "branch": ("#b45f06", "#f5b056"),
    "sink": ("#c2336b", "#ff85b0"),
}

FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','DejaVu Sans',Arial,sans-serif"
# Written out for both pages: not every viewer of SVG knows CSS variables.
SHAPES = f"""
.piko text{{font-family:{FONT}}}
.piko-edge{{fill:none;stroke-width:1.6}}
.piko-box,.piko-way{{stroke-width:1}}
.piko-kind{{font-size:10.5px;font-weight:600;letter-spacing:.04em}}
.piko-name{{font-size:13px;font-weight:600}}
.piko-option{{font-size:11px}}
.piko-way-name{{font-size:11px;text-anchor:middle}}
"""


def family_of(stage: Stage) -> str:
    """Which colour a stage has."""
    if isinstance(stage, Source):
        return "source"
    if isinstance(stage, CpuMap):
        return "cpu"
    if isinstance(stage, Batch | Fold | Throttle):
        return "gather"
    if isinstance(stage, Fork | Merge):
        return "branch"
    return "sink" if isinstance(stage, Sink) else "call"


def _colours(*, page: str, frame: str, box: str, line: str, text: str, faint: str, shade: int) -> str:
    rules = [
        f".piko-page{{fill:{page};stroke:{frame}}}",
        f".piko-box,.piko-way{{fill:{box};stroke:{frame}}}",
        f".piko-edge{{stroke:{line}}}",
        f".piko-arrow,.piko-join{{fill:{line}}}",
        f".piko-name,.piko-way-name{{fill:{text}}}",
        f".piko-option{{fill:{faint}}}",
    ]
    for family, shades in FAMILIES.items():
        rules.append(f".piko-{family} .piko-mark,.piko-{family} .piko-kind{{fill:{shades[shade]}}}")
    return "\n".join(rules)


LIGHT = _colours(
    page="#f7f8fb", frame="#d5dbe6", box="#ffffff", line="#8a97ab", text="#172033", faint="#5b677b", shade=0
)
DARK = _colours(
    page="#12161e", frame="#333d4e", box="#1c2330", line="#6f7f97", text="#e8edf6", faint="#a3b0c4", shade=1
)
STYLE = f"{SHAPES}{LIGHT}\n@media (prefers-color-scheme:dark){{\n{DARK}\n}}\n"
