"""The graphs of flows: built once from their code, on a thread, since that code is the user's."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

from piko_flow.clock import now
from piko_flow.control.flows.flow import Flow
from piko_flow.control.params.redaction import described
from piko_flow.ops.console.graph_picture import GraphPicture
from piko_flow.planning.window import Window

KEPT = 256
WITHIN = 5.0  # seconds that building a pipeline may take


@dataclass(frozen=True, slots=True)
class FlowGraph:
    """The graph; or why there is none."""

    picture: GraphPicture | None
    why_not: str = ""


class FlowGraphs:
    """Remembers the graphs of the flows that were looked at last."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Flow, FlowGraph]] = OrderedDict()

    async def of(self, flow: Flow | None) -> FlowGraph:
        """The graph of a flow; a job has none."""
        if flow is None:
            return FlowGraph(None, "The code of this flow is not in this application.")
        if flow.kind == "job":
            return FlowGraph(None, f"A plain job without stages, written at {flow.site.origin}.")
        known = self._known.get(flow.name)
        if known is None or known[0] is not flow:
            try:
                async with asyncio.timeout(WITHIN):
                    known = flow, await asyncio.to_thread(_built, flow)
            except TimeoutError:
                return FlowGraph(None, f"Its function has not built a pipeline within {WITHIN:g} s.")
            self._known[flow.name] = known
        self._known.move_to_end(flow.name)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return known[1]


def _built(flow: Flow) -> FlowGraph:
    end = now().replace(minute=0, second=0, microsecond=0)
    window = Window(end - timedelta(hours=1), end) if flow.stateful else None
    params = None
    try:
        params = None if flow.params is None else flow.params()
        return FlowGraph(GraphPicture(flow.pipeline(params, window=window)))
    except Exception as error:  # the user's function may raise anything; it is told
        return FlowGraph(None, f"It cannot be drawn with default parameters: {described(error, params, 300)}")
