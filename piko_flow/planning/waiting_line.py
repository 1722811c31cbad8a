"""Runs in the order they came, from which those whose flow or group is full stand aside without holding up others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush, heapreplace


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued run, and what decides when it may start."""

    run: int
    flow: str
    group: str
    backfill: int | None = None
    not_before: datetime | None = None


class WaitingLine:
    """Waiting runs by flow and group. Finding the next one costs what changed since, not what waits.

    A flow or group found full is not looked at again before `freed` names it.
    """

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._groups: dict[str, _Group] = {}
        self._listed = _Listed()
        self._groups_of: dict[str, set[str]] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, waiting: Waiting) -> None:
        """To the end of the line."""
        number = self._next
        self._next += 1
        self._numbers[waiting.run] = number
        group = self._groups.setdefault(waiting.group, _Group())
        if group.add(number, waiting):
            self._groups_of.setdefault(waiting.flow, set()).add(waiting.group)
            self._listed.add(waiting.group, number)

    def remove(self, waiting: Waiting) -> None:
        """Out of the line, wherever it stands; without effect when it is not in it."""
        number = self._numbers.pop(waiting.run, None)
        if number is None:
            return
        group = self._groups[waiting.group]
        if group.remove(number, waiting.flow):
            self._groups_of[waiting.flow].discard(waiting.group)
            if not self._groups_of[waiting.flow]:
                del self._groups_of[waiting.flow]
        if not group.lanes:
            del self._groups[waiting.group]

    def first(
        self, flow_has_room: Callable[[str], bool], group_has_room: Callable[[str], bool]
    ) -> Waiting | None:
        """The first run whose flow and group both have room; it stays in the line."""
        while (listed := self._listed.first()) is not None:
            number, name = listed
            group = self._groups.get(name)
            found = None if group is None else group.first(flow_has_room)
            if found is None or not group_has_room(name):
                self._listed.drop()
            elif found[0] > number:
                self._listed.put_back(found[0])
            else:
                return found[1]
        return None

    def freed(self, flow: str, group: str) -> None:
        """The flow and the group may have room again."""
        for name in self._groups_of.get(flow, ()):
            self._listed.add(name, self._groups[name].freed(flow))
        if group in self._groups and group not in self._listed.lowest:
            self._listed.add(group, 0)  # its first run is looked up when its turn comes

    def all_freed(self) -> None:
        """Every flow and group may have room again; costs a look at each flow that waits."""
        for flow, groups in self._groups_of.items():
            for name in groups:
                self.freed(flow, name)


@dataclass(slots=True)
class _Listed:
    """Names by a number that is at most that of their first run. Each is listed once, under its lowest number."""

    numbers: list[tuple[int, str]] = field(default_factory=list)
    lowest: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, number: int) -> None:
        if name not in self.lowest or number < self.lowest[name]:
            self.lowest[name] = number
            heappush(self.numbers, (number, name))

    def first(self) -> tuple[int, str] | None:
        while self.numbers and self.lowest.get(self.numbers[0][1]) != self.numbers[0][0]:
            heappop(self.numbers)
        return self.numbers[0] if self.numbers else None

    def drop(self) -> None:
        _, name = heappop(self.numbers)
        del self.lowest[name]

    def put_back(self, number: int) -> None:
        name = self.numbers[0][1]
        self.lowest[name] = number
        heapreplace(self.numbers, (number, name))


@dataclass(slots=True)
class _Group:
    """The runs of one group: a lane for each flow, listed while the flow is not known to be full."""

    lanes: dict[str, OrderedDict[int, Waiting]] = field(default_factory=dict)
    listed: _Listed = field(default_factory=_Listed)

    def add(self, number: int, waiting: Waiting) -> bool:
        """Put a run in; True when it is the first of its flow here."""
        lane = self.lanes.get(waiting.flow)
        if lane is not None:
            lane[number] = waiting
            return False
        self.lanes[waiting.flow] = OrderedDict({number: waiting})
        self.listed.add(waiting.flow, number)
        return True

    def remove(self, number: int, flow: str) -> bool:
        """Take a run out; True when it was the last of its flow here."""
        lane = self.lanes[flow]
        del lane[number]
        if not lane:
            del self.lanes[flow]
        return not lane

    def first(self, flow_has_room: Callable[[str], bool]) -> tuple[int, Waiting] | None:
        while (listed := self.listed.first()) is not None:
            number, flow = listed
            lane = self.lanes.get(flow)
            if lane is None or not flow_has_room(flow):
                self.listed.drop()
                continue
            first = next(iter(lane))
            if first == number:
                return number, lane[first]
            self.listed.put_back(first)
        return None

    def freed(self, flow: str) -> int:
        """List the flow again; gives the number of its first run."""
        number = next(iter(self.lanes[flow]))
        self.listed.add(flow, number)
        return number
