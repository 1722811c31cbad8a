"""What goes wrong between a replica and the store: by script, or drawn from a seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class FaultKind(StrEnum):
    """What happens at one call of the store."""

    REFUSED = "refused"
    """StoreUnavailable, and nothing was done."""
    REPLY_LOST = "reply_lost"
    """It is done, and the caller gets StoreUnavailable."""
    CRASH_BEFORE = "crash_before"
    """The replica dies before it is done, and its runs with it."""
    CRASH_AFTER = "crash_after"
    """The replica dies when it is done, before it is told."""
    PAUSE_BEFORE = "pause_before"
    """The whole replica stands still before it is done, then goes on as if nothing had been."""
    PAUSE_AFTER = "pause_after"
    """The whole replica stands still before it is told."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong; `seconds`: how long a pause is, or after how long another replica takes a dead one's place."""

    kind: FaultKind
    seconds: float = 0.0


class Faults(Protocol):
    """Asked at every call of every replica what goes wrong there."""

    def at(self, call: str, replica: str, /) -> Fault | None:
        """The fault of this call of the method `call`; None where all goes well."""
        ...


class NoFaults:
    """All goes well."""

    def at(self, call: str, replica: str, /) -> Fault | None:
        """None."""


class ScriptedFaults:
    """Faults at chosen calls, counted over all replicas from 1: `{("write", 3): Fault(FaultKind.REPLY_LOST)}`."""

    def __init__(self, script: Mapping[tuple[str, int], Fault]) -> None:
        self._script = dict(script)
        self.calls: Counter[str] = Counter()
        """How often each method was called."""

    def at(self, call: str, replica: str, /) -> Fault | None:
        """The fault of this call, if the script has one."""
        self.calls[call] += 1
        return self._script.get((call, self.calls[call]))


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How often things go wrong: the share of calls for each, and the longest pause and absence in seconds."""

    refused: float = 0.015
    reply_lost: float = 0.015
    crash: float = 0.006
    pause: float = 0.012
    longest: float = 600.0


class SeededFaults:
    """Faults drawn from a generator; `on` False ends them."""

    def __init__(self, draws: random.Random, rates: FaultRates) -> None:
        self._draws, self.on = draws, True
        self._longest = rates.longest
        self._kinds = (
            (rates.refused, (FaultKind.REFUSED,)),
            (rates.reply_lost, (FaultKind.REPLY_LOST,)),
            (rates.crash, (FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER)),
            (rates.pause, (FaultKind.PAUSE_BEFORE, FaultKind.PAUSE_AFTER)),
        )

    def at(self, call: str, replica: str, /) -> Fault | None:
        """A fault as often as the rates say."""
        if not self.on:
            return None
        drawn = self._draws.random()
        for rate, kinds in self._kinds:
            if drawn < rate:
                return Fault(self._draws.choice(kinds), self._draws.uniform(1.0, self._longest))
            drawn -= rate
        return None
