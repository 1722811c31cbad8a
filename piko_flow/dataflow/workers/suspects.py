"""Which item ended its worker: what to try again after a death, and what to give up. Pure rules.

A worker that is killed from outside must cost nothing, an item that kills its worker must cost only itself,
and both must come to an end. So the item that a worker was on when it ended is a suspect: it runs alone, and
is given up when it ends its worker again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

from piko_flow.dataflow.workers.transport import LOADING

TRIES = 2  # how often one item alone, or the loading of the function, may end a worker
FALSE_STARTS = 100  # how often a chunk may lose its worker before it was begun


class Form(IntEnum):
    """How items are packed, each form slower than the one before and able to carry more."""

    PLAIN = 0
    BY_VALUE = 1
    APART = 2


@dataclass(frozen=True, slots=True)
class Attempt:
    """Items of a call that go to a worker together, and what happened to them so far."""

    indices: tuple[int, ...]
    form: Form = Form.PLAIN
    deaths: int = 0
    false_starts: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a death: who is given up, and what is tried again, in this order.

    `function` says that the function itself is to blame, so that nothing can be tried again.
    """

    guilty: tuple[int, ...] = ()
    late: tuple[int, ...] = ()
    again: list[Attempt] = field(default_factory=list)
    function: bool = False


def judge(attempt: Attempt, at: int | None, *, late: bool) -> Verdict:
    """Judge a death that came while the worker was `at` this place of the attempt; None is before it.

    `late` says that the timer ended the worker, because one item took too long.
    """
    if at is None:
        if attempt.false_starts + 1 >= FALSE_STARTS:
            return Verdict(guilty=attempt.indices)
        return Verdict(again=[replace(attempt, false_starts=attempt.false_starts + 1)])
    once_more = replace(attempt, deaths=attempt.deaths + 1)
    last = once_more.deaths >= TRIES
    if at == LOADING or not attempt.indices:
        return Verdict(function=True) if last else Verdict(again=[once_more])
    if at < len(attempt.indices):
        suspect = attempt.indices[at]
        others = attempt.indices[:at] + attempt.indices[at + 1 :]
        rest = [replace(attempt, indices=others, deaths=0)] if others else []
        if late:
            return Verdict(late=(suspect,), again=rest)
        if others:
            return Verdict(again=[*rest, replace(attempt, indices=(suspect,), deaths=1)])
    if len(attempt.indices) > 1:  # while items were loaded or results packed: halve it to find the one
        middle = len(attempt.indices) // 2
        halves = attempt.indices[:middle], attempt.indices[middle:]
        return Verdict(again=[replace(attempt, indices=half, deaths=0) for half in halves])
    return Verdict(guilty=attempt.indices) if last else Verdict(again=[once_more])
