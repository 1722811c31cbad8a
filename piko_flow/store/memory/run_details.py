"""What is kept with a run for people to read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from piko_flow.store.memory.part import MemoryPart
from piko_flow.store.ops_fitting import LINES, fitting_line
from piko_flow.store.ops_records import LogLine, RunDetail
from piko_flow.store.records import RunRecord
from piko_flow.store.texts import check, readable


class MemoryRunDetails(MemoryPart):
    """RunDetailStore in memory; see the protocol for what is promised."""

    async def keep_details(self, details: Sequence[RunDetail]) -> None:
        """Keep reports by attempt and append lines to logs."""
        if not details:
            return
        self._ask()
        fit = [(detail, list(map(fitting_line, detail.lines))) for detail in details]
        for detail, lines in fit:
            if detail.run not in self._rows.runs:
                continue
            if detail.report is not None:
                self._rows.reports.setdefault(detail.run, {})[detail.attempt] = readable(detail.report)
            kept = self._rows.logs.setdefault(detail.run, []) if lines else []
            for line in lines[: LINES - len(kept)]:
                kept.append(replace(line, number=len(kept) + 1))

    async def log(self, run: int, *, after: int = 0, limit: int = 500) -> list[LogLine]:
        """The lines of a run with numbers above `after`, in order."""
        self._ask()
        return [line for line in self._rows.logs.get(run, ()) if line.number > after][:limit]

    async def last_lines(self, runs: Collection[int]) -> dict[int, int]:
        """The number of the last line of each run's log."""
        self._ask()
        return {run: len(lines) for run in runs if (lines := self._rows.logs.get(run))}

    async def reports(self, run: int) -> dict[int, str]:
        """The reports of a run by attempt."""
        self._ask()
        return dict(sorted(self._rows.reports.get(run, {}).items()))

    async def show_live(self, replica: str, texts: Mapping[int, str]) -> None:
        """What a replica's runs are at: replaces all that it showed before."""
        now = self._ask()
        check("replica", replica)
        self._rows.shown.pop(replica, None)  # so that of two of one microsecond the later stands last
        self._rows.shown[replica] = {run: (now, readable(text)) for run, text in texts.items()}

    async def shown_live(self, runs: Collection[int]) -> dict[int, tuple[datetime, str]]:
        """What these runs were last shown to be at, with the time."""
        self._ask()
        found: dict[int, tuple[datetime, str]] = {}
        for texts in self._rows.shown.values():
            for run in texts.keys() & set(runs):
                if run not in found or found[run][0] <= texts[run][0]:
                    found[run] = texts[run]
        return found

    async def recent_runs(self, flows: Collection[str], each: int) -> dict[str, list[RunRecord]]:
        """The newest `each` runs of each flow, newest first."""
        self._ask()
        rows = self._rows
        ids = {flow: islice(reversed(rows.of_flow.get(flow, {})), max(each, 0)) for flow in flows}
        found = {flow: [rows.runs[number] for number in numbers] for flow, numbers in ids.items()}
        return {flow: runs for flow, runs in found.items() if runs}
