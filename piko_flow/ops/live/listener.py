"""Somebody who listens to what happens, with a bounded room for what they have not taken yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from piko_flow.ops.live.run_changes import Happening
from piko_flow.ops.live.topic import Topic
from piko_flow.store.records import RunRecord

ROOM: Final = 500
"""Events that wait for one listener at most."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: its name, its number, the run that it is about, and what is told, as JSON."""

    name: str
    number: int
    run: RunRecord | None
    told: str


class Listener:
    """Takes events of one topic. One who takes too slowly is `lost`: nothing more is kept for them."""

    def __init__(self, topic: Topic, whose: int) -> None:
        self.topic, self.whose = topic, whose
        self.lost = False
        self._waiting: deque[Event] = deque()

    def hear(self, events: Iterable[Event]) -> None:
        """Keep those of the topic until they are taken."""
        for event in events:
            if event.run is not None and not self._wants(event.name, event.run):
                continue
            if len(self._waiting) >= ROOM:
                self.lost = True
                self._waiting.clear()
            if self.lost:
                return
            self._waiting.append(event)

    def _wants(self, name: str, run: RunRecord) -> bool:
        if name == Happening.LOGGED:
            return self.topic.run == run.id
        return self.topic.has(run) and (self.topic.close or name != Happening.PROGRESS)

    def take(self) -> list[Event]:
        """What has happened since it was taken last."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken
