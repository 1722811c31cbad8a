"""What a run and the interpreter of one of its units tell each other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.plan.layout import Unit
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.reports.observer import Observer
from piko_flow.dataflow.running.engine import Counts
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.sink import Receipt
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.workers import transport
from piko_flow.dataflow.workers.shipping import by_value_pickler
from piko_flow.dataflow.workers.transport import Frame
from piko_flow.engines.unit_errors import loaded_or_shown, pack_or_show
from piko_flow.errors import NO_ITEM, StageFailed, shorten

# Kinds of frames, apart from those of worker processes. From the run: the unit to run, once;
BEGIN = 32
DRAIN = 33  # read no more
CANCEL = 34  # stop now
# From the interpreter: the plan is loaded and the unit begins;
BEGUN = 35
COUNTS = 36  # the unit's counts so far; absolute, so the latest is all there is to know
FACTS = 37  # what the observer gets
RESULT = 38  # what the unit left, the last message
FAILED = 39  # why it failed, the last message
LINE = 40  # a line that was logged


@dataclass(frozen=True)
class Order:
    """All that an interpreter needs to run one attempt of one unit.

    `plan` is packed once for all units. `cores` is how many processors this unit may count on, `listening`
    whether somebody wants to hear facts, `strict` whether each bad item must be reported at once. `trace` is the traceparent
    of the span that the unit works for, `level` that of the log lines that the run takes.
    """

    plan: bytes
    unit: bytes
    attempt: int
    units: int
    info: RunInfo
    cores: int
    listening: bool
    strict: bool
    trace: str = ""
    level: int = logging.WARNING

    def frame(self) -> Frame:
        """The order as a message. Neither plan nor unit is looked into on the way."""
        return message(BEGIN, self)


def message(kind: int, value: object = None) -> Frame:
    """A message with a value of this library's own types."""
    frame = Frame(kind)
    frame.stream, frame.buffers = transport.pack(value)
    return frame


def pack_for_travel(value: Plan | Unit) -> bytes:
    """A plan or a unit, packed for `unpack_plan` or `unpack_unit`. Raises what its pickling raises."""
    return transport.pack_apart(value, by_value_pickler())


def unpack_plan(packed: bytes) -> Plan:
    """The plan. Raises what its loading raises."""
    return cast(Plan, transport.unpack_apart(packed))


def unpack_unit(packed: bytes) -> Unit:
    """The unit. Raises what its loading raises."""
    return cast(Unit, transport.unpack_apart(packed))


# Dead letters hold items of the user's; one that cannot travel must not take the others along.
SentDeadLetter = tuple[DeadLetter, bytes, str]


def pack_dead_letter(dead_letter: DeadLetter) -> SentDeadLetter:
    """The dead letter without its item, the item packed, and the item as text."""
    return replace(dead_letter, item=None), pack_or_show(dead_letter.item), shorten(dead_letter.item)


def unpack_dead_letter(sent: SentDeadLetter) -> DeadLetter:
    """The dead letter; an item that could not travel is a Shown."""
    bare, packed, text = sent
    return replace(bare, item=loaded_or_shown(packed, text))


class Facts:
    """An observer that keeps what it gets until it is taken to the run.

    Chunks and waits of a stage are summed up between two takes, so what is kept is bounded but for dead letters.
    """

    def __init__(self) -> None:
        self._facts: list[tuple[Any, ...]] = []
        self._chunks: dict[str, list[Any]] = {}
        self._waits: dict[str, float] = {}

    def take(self) -> list[tuple[Any, ...]]:
        """What it got since the last take."""
        facts = self._facts
        facts += [("chunk", stage, items, seconds) for stage, (items, seconds) in self._chunks.items()]
        facts += [("wait", stage, seconds) for stage, seconds in self._waits.items()]
        self._facts, self._chunks, self._waits = [], {}, {}
        return facts

    def run_started(self, run: str, pipeline: str, units: int) -> None:
        """The run itself calls this."""

    def run_ended(self, report: object, error: BaseException | None) -> None:
        """The run itself calls this."""

    def stage_started(self, stage: str) -> None:
        """Keep it."""
        self._facts.append(("started", stage))

    def stage_ended(self, stage: str) -> None:
        """Keep it, after what it got about the stage before."""
        self._facts = [*self.take(), ("ended", stage)]

    def chunk_finished(self, stage: str, *, items: int, seconds: float) -> None:
        """Add it to the stage's sum."""
        chunk = self._chunks.setdefault(stage, [0, 0.0])
        chunk[0] += items
        chunk[1] += seconds

    def sender_waited(self, stage: str, *, seconds: float) -> None:
        """Add it to the stage's sum."""
        self._waits[stage] = self._waits.get(stage, 0.0) + seconds

    def dead_letter(self, dead_letter: DeadLetter) -> None:
        """Keep it, packed."""
        self._facts.append(("dead", pack_dead_letter(dead_letter)))


class Relay:
    """Gives the run's observer what an interpreter sent, and which stages had begun but never ended if it died."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._begun: list[str] = []

    def report(self, facts: list[tuple[Any, ...]]) -> None:
        """Give the facts to the observer, in order."""
        calls: dict[str, Callable[..., None]] = {
            "started": self._started,
            "ended": self._ended,
            "chunk": lambda stage, items, seconds: self._observer.chunk_finished(
                stage, items=items, seconds=seconds
            ),
            "wait": lambda stage, seconds: self._observer.sender_waited(stage, seconds=seconds),
            "dead": lambda sent: self._observer.dead_letter(unpack_dead_letter(sent)),
        }
        for kind, *values in facts:
            calls[kind](*values)

    def end(self) -> None:
        """Say of each stage that is still said to work that it has ended."""
        for stage in list(self._begun):
            self._ended(stage)

    def _started(self, stage: str) -> None:
        self._begun.append(stage)
        self._observer.stage_started(stage)

    def _ended(self, stage: str) -> None:
        self._begun.remove(stage)
        self._observer.stage_ended(stage)


@dataclass(frozen=True)
class SentResult:
    """A unit's result as it travels, and what its worker processes were."""

    counts: Counts
    exhausted: bool
    lasting: bool
    more: bool
    receipts: dict[str, bytes]
    position: bytes
    dead_letters: list[SentDeadLetter]
    workers: dict[str, int]


def pack_result(result: UnitResult, plan: Plan, run: str, workers: dict[str, int]) -> Frame:
    """The result as a message. Raises StageFailed for the sink or the source whose account cannot travel."""
    where = {box.name: str(box.stage.origin) for box in plan.graph.boxes}
    sources = [box.name for box in plan.graph.boxes if isinstance(box.stage, Source)]
    packed: dict[str, bytes] = {}
    for name, value in [*result.receipts.items(), (sources[0], result.position)]:
        try:
            packed[name] = transport.pack_apart(value, by_value_pickler())
        except Exception as error:
            what = "position" if name == sources[0] else "receipt"
            cause = TypeError(f"its {what} must be picklable to reach the run: {error}")
            raise StageFailed(stage=name, where=where[name], item=NO_ITEM, run=run, cause=cause) from error
    position = packed.pop(sources[0])
    return message(
        RESULT,
        SentResult(
            counts=Counts(result.tallies, result.times, result.edges),
            exhausted=result.exhausted,
            lasting=result.lasting,
            more=result.more,
            receipts=packed,
            position=position,
            dead_letters=[pack_dead_letter(one) for one in result.dead_letters],
            workers=workers,
        ),
    )


def unpack_result(sent: SentResult, unit: str) -> UnitResult:
    """The result again. Raises what the loading of its receipts and its position raises."""
    receipts: dict[str, Receipt] = {
        name: transport.unpack_apart(value) for name, value in sent.receipts.items()
    }
    return UnitResult(
        unit=unit,
        exhausted=sent.exhausted,
        tallies=sent.counts.tallies,
        times=sent.counts.times,
        edges=sent.counts.edges,
        receipts=receipts,
        lasting=sent.lasting,
        dead_letters=[unpack_dead_letter(one) for one in sent.dead_letters],
        position=transport.unpack_apart(sent.position),
        more=sent.more,
    )
