"""What a run gives back: its facts, which show themselves as text and as a page.

It is apart from `facts.py` because the text and the page are made from the facts, and it needs both.
"""

from __future__ import annotations

from dataclasses import dataclass

from piko_flow.dataflow.reports.facts import RunFacts
from piko_flow.dataflow.reports.html import report_html
from piko_flow.dataflow.reports.text import report_text


@dataclass(frozen=True)
class RunReport(RunFacts):
    """The account of an ended run; `print` shows it as text, a notebook as a page. The fields are those of RunFacts."""

    def __str__(self) -> str:
        return report_text(self)

    def _repr_html_(self) -> str:
        return report_html(self)
