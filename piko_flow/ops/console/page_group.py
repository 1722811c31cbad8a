"""What every group of pages is made with."""

from __future__ import annotations

from piko_flow.ops.console.flow_page import FlowPage
from piko_flow.ops.console.view import View
from piko_flow.ops.process import Process


class PageGroup:
    """Pages about one thing: they ask the process, and the view shows what it answers."""

    def __init__(self, process: Process, view: View) -> None:
        self._process, self._view = process, view


class FlowPageGroup(PageGroup):
    """Pages about one thing of a flow, which go back to its own page."""

    def __init__(self, process: Process, view: View, page: FlowPage) -> None:
        super().__init__(process, view)
        self._page = page
