"""What happens to runs, told to everybody who listens, from one look at the store a second."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

from piko_flow.clock import Clock, SystemClock
from piko_flow.control.flows.json_values import json_values
from piko_flow.errors import PikoFlowError
from piko_flow.ops.askable import Askable
from piko_flow.ops.live.listener import Event, Listener
from piko_flow.ops.live.look import Shown, look_again, read_runs
from piko_flow.ops.live.run_changes import Happening, RunChange, run_changes
from piko_flow.ops.live.topic import Topic
from piko_flow.planning.run_state import LIVE, RunStatus
from piko_flow.store.records import RunRecord

EVERY: Final = 1.0
"""Seconds between two looks at the store."""
LAPSE: Final = 60.0
"""After so many seconds without a look nobody can say what happened meanwhile: listeners have to start afresh."""
WATCHED: Final = 200
"""Running runs whose stages one look reads."""
PAST: Final = 1000
"""Events that are kept for those who come back."""
LISTENERS: Final = 500
OF_ONE: Final = 20
"""Listeners with the same token."""


class TooManyListeners(PikoFlowError):
    """As many listen as may, or as many with this token."""


class Told(NamedTuple):
    """What is to be told, before it has a number."""

    name: str
    run: RunRecord | None
    values: dict[str, Any]


class Broadcaster:
    """Looks at the store once a second while somebody listens, whatever their number, and not otherwise.

    The look is made by whoever listens and comes first, so that nothing runs without a listener. All of it belongs to
    one event loop. `beginning` names the stretch over which the numbers of events have no gap.
    """

    def __init__(self, process: Askable, *, clock: Clock | None = None) -> None:
        self._process, self._clock = process, clock or SystemClock()
        self._listeners: set[Listener] = set()
        self._looking = asyncio.Lock()
        self._past: deque[Event] = deque(maxlen=PAST)
        self._known: dict[int, RunRecord] = {}
        self._newest = 0
        self._shown: Shown = {}
        self._lines: dict[int, int] = {}
        self._looked: float | None = None
        self._due = 0.0
        self._number = 0
        self.beginning = secrets.token_hex(4)

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @asynccontextmanager
    async def listening(self, topic: Topic, *, whose: int, after: str = "") -> AsyncIterator[Listener]:
        """A listener, who hears first what happened after the event of this id, if that is still known.

        Where it is not, or nothing is named, `reset` is heard first: what is shown has to be read anew. Raises
        TooManyListeners, and StoreUnavailable.
        """
        of_each = Counter(one.whose for one in self._listeners)
        if len(self._listeners) >= LISTENERS or of_each[whose] >= OF_ONE:
            raise TooManyListeners(
                f"{of_each[whose]} streams of this token are open, {self.listeners} in all"
            )
        listener = Listener(topic, whose)
        self._listeners.add(listener)
        try:
            await self.look()
            listener.take()  # what this look has found is part of what comes now
            listener.hear(self._since(after))
            yield listener
        finally:
            self._listeners.discard(listener)

    def id_of(self, event: Event) -> str:
        """The id of an event, by which a listener comes back to where they were."""
        return f"{self.beginning}-{event.number}"

    async def look(self) -> None:
        """Look at the store, unless that was done less than a second ago; who comes meanwhile waits for it."""
        async with self._looking:
            now = self._clock.monotonic()
            if self._looked is not None and now < self._due:
                return
            self._due = now + EVERY  # also where the store does not answer
            if self._looked is None or now - self._looked > LAPSE:
                await self._begin()
            else:
                await self._go_on()
            self._looked = now

    async def wait(self) -> None:
        """Return when the next look is due."""
        await self._clock.sleep(min(max(self._due - self._clock.monotonic(), 0.0), EVERY) + 0.001)

    def over(self) -> bool:
        """Whether the process drains or has, or does not work yet, so that nobody should listen."""
        return self._process.readiness()[0] in ("draining", "starting")

    async def _begin(self) -> None:
        """Take what is there as known, without telling of it; what was told before cannot be gone on from."""
        runs = await self._process.ask(read_runs)
        self.beginning, self._number = secrets.token_hex(4), 0
        self._past.clear()
        self._known = {run.id: run for run in runs if run.status in LIVE}
        self._newest = max((run.id for run in runs), default=0)
        self._tell([Told("reset", None, {})])

    async def _go_on(self) -> None:
        before, since, watched, read = self._known, self._newest, self._watched(), self._read()
        found = await self._process.ask(lambda plane: look_again(plane, before, since, watched, read))
        seen, shown = found.seen, found.shown
        self._known = {run.id: run for run in seen if run.status in LIVE} | found.unsure
        self._newest = max([since, *(run.id for run in seen)])
        moved = [run for run in seen if run.id in shown and shown[run.id] != self._shown.get(run.id)]
        grown = [run for run in seen if found.lines.get(run.id, 0) > self._lines.get(run.id, 0)]
        self._shown, self._lines = shown, found.lines
        changes = map(_change, run_changes(before, seen))
        progress = (_progress(run, *shown[run.id]) for run in moved)
        self._tell([*changes, *progress, *(_logged(run, found.lines[run.id]) for run in grown)])

    def _watched(self) -> list[int]:
        """The running runs that somebody looks at closely."""
        close = [one.topic for one in self._listeners if one.topic.close]
        running = (run for run in self._known.values() if run.status is RunStatus.RUNNING)
        return [run.id for run in running if any(topic.has(run) for topic in close)][:WATCHED]

    def _read(self) -> list[int]:
        """The running runs of which somebody looks at the page, and so at the log."""
        numbers = {one.topic.run for one in self._listeners}
        return [
            run.id for run in self._known.values() if run.id in numbers and run.status is RunStatus.RUNNING
        ][:WATCHED]

    def _tell(self, happened: Sequence[Told]) -> None:
        events = [
            Event(one.name, number, one.run, json.dumps(one.values))
            for number, one in enumerate(happened, start=self._number + 1)
        ]
        self._number += len(events)
        self._past.extend(events)
        for listener in self._listeners:
            listener.hear(events)

    def _since(self, after: str) -> list[Event]:
        """What happened after the event of this id; a reset where nobody knows that."""
        beginning, _, text = after.partition("-")
        first = self._past[0].number if self._past else self._number + 1
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
        if beginning == self.beginning and first - 1 <= number <= self._number:
            return [event for event in self._past if event.number > number]
        return [Event("reset", self._number, None, "{}")]


def _change(change: RunChange) -> Told:
    return Told(change.what, change.run, {"run": json_values(change.run)})


def _progress(run: RunRecord, at: datetime, text: str) -> Told:
    return Told(Happening.PROGRESS, run, {"run": run.id, "at": at.isoformat(), "report": json.loads(text)})


def _logged(run: RunRecord, line: int) -> Told:
    return Told(Happening.LOGGED, run, {"run": run.id, "line": line})
