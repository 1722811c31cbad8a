"""A run's receipts and its decision to commit, kept in the store; rows that wait for the run's last transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Protocol, TypeVar

import orjson

from piko_flow.clock import Clock
from piko_flow.control.dead_letters.dead_letters import stored
from piko_flow.control.params.payload import StoredPayload
from piko_flow.control.params.redaction import NOTHING_HIDDEN, Redaction
from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.reports.tally import EdgeTally, OperatorTimes, StageTally
from piko_flow.dataflow.stages.sink import Part, Receipt
from piko_flow.errors import ClaimLost, PikoFlowError, StoreUnavailable, describe_error
from piko_flow.retry import retry_delay
from piko_flow.store.protocols import RunStore
from piko_flow.store.records import RunRecord

D = TypeVar("D")
LETTERS = (
    4 * 1024 * 1024
)  # characters of all dead letters of one unit that are kept; the rest are only counted


class NotJson(PikoFlowError, TypeError):
    """What has to be stored of a run is no JSON; nothing was committed."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} must be made of JSON values, so that it can be stored: {reason}")
        self.what = what


def encode_unit(result: UnitResult, redaction: Redaction = NOTHING_HIDDEN) -> dict[str, Any]:
    """The result as JSON values, its dead letters redacted. Raises NotJson for a receipt or a position that is none."""
    for sink, receipt in result.receipts.items():
        json_text(f"the receipt of sink {sink!r}", dict(receipt.data))
    json_text("the position of the source", result.position)
    letters, room = [], LETTERS
    for letter in result.dead_letters:
        letter = stored(letter, redaction)
        payload = letter.item.text
        room -= len(payload)
        if room < 0:
            break
        letters.append({each.name: getattr(letter, each.name) for each in fields(letter)} | {"item": payload})
    return {
        "unit": result.unit,
        "exhausted": result.exhausted,
        "lasting": result.lasting,
        "more": result.more,
        "position": result.position,
        "tallies": [asdict(one) for one in result.tallies],
        "times": [asdict(one) for one in result.times],
        "edges": [asdict(one) for one in result.edges],
        "receipts": {sink: _receipt_values(receipt) for sink, receipt in result.receipts.items()},
        "dead_letters": letters,
    }


def decode_unit(values: dict[str, Any]) -> UnitResult:
    """The result that `encode_unit` made; an item of a dead letter is a StoredPayload."""
    letters = [
        _made(DeadLetter, {**one, "item": StoredPayload(one["item"])}) for one in values["dead_letters"]
    ]
    return UnitResult(
        unit=values["unit"],
        exhausted=values["exhausted"],
        lasting=values["lasting"],
        more=values["more"],
        position=values["position"],
        tallies=[_made(StageTally, one) for one in values["tallies"]],
        times=[_made(OperatorTimes, one) for one in values["times"]],
        edges=[_made(EdgeTally, one) for one in values["edges"]],
        receipts={sink: _receipt(one) for sink, one in values["receipts"].items()},
        dead_letters=letters,
    )


def text_of_units(
    fingerprint: str, results: Sequence[UnitResult], redaction: Redaction = NOTHING_HIDDEN
) -> str:
    """Several results with the fingerprint of the plan that made them."""
    values = {"fingerprint": fingerprint, "units": [encode_unit(result, redaction) for result in results]}
    return orjson.dumps(values).decode()


def units_of_text(text: str) -> tuple[str, list[UnitResult]]:
    """The fingerprint and the results."""
    values = orjson.loads(text)
    return values["fingerprint"], [decode_unit(one) for one in values["units"]]


def json_text(what: str, value: object) -> str:
    """The value as JSON text. Raises NotJson, naming `what` it is."""
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:  # orjson's own error is one
        raise NotJson(what, describe_error(error, 200)) from error


def _receipt_values(receipt: Receipt) -> dict[str, Any]:
    part = {each.name: getattr(receipt.part, each.name) for each in fields(Part)}
    return {"part": part, "items": receipt.items, "data": dict(receipt.data)}


def _receipt(values: dict[str, Any]) -> Receipt:
    part = dict(values["part"])
    for name in ("window_start", "window_end"):
        if part.get(name) is not None:
            part[name] = datetime.fromisoformat(part[name])
    return Receipt(_made(Part, part), values["items"], values["data"])


def _made(kind: type[D], values: dict[str, Any]) -> D:
    """The dataclass from its values; names that a later version may have written are left out."""
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # every kind here is a dataclass
    return kind(**{name: value for name, value in values.items() if name in known})


T = TypeVar("T")
ATTEMPTS = 5  # at reaching the store, before the run fails
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds between them


class Ask(Protocol):
    """How a run reaches the store, which may belong to another thread's loop."""

    async def __call__(self, question: Callable[[RunStore], Awaitable[T]], /) -> T: ...


class StoreJournal:
    """The journal of one claimed run; see Journal.

    Only what outlives the process is stored. A run without such receipts makes no statement, and neither does
    one whose sinks all commit in its last transaction: that is its decision. What was prepared by another plan
    is not used. `flush` is awaited before the decision. Of dead items only what `redaction` leaves is stored.
    """

    def __init__(
        self,
        record: RunRecord,
        *,
        ask: Ask,
        clock: Clock,
        flush: Callable[[], Awaitable[None]],
        redaction: Redaction = NOTHING_HIDDEN,
    ) -> None:
        self._record, self._ask, self._clock, self._flush = record, ask, clock, flush
        self.redaction = redaction
        """What hides secrets in dead items and in what is told of them."""
        self._fresh = record.claim <= 1  # nobody has worked on it before, so nothing is stored
        self._checked = False
        self._decision: tuple[str, list[UnitResult]] | None = None
        self._live: list[Part] = []
        self.plan_fingerprint = ""
        self.joining: frozenset[str] = frozenset()
        """The sinks that commit in the run's last transaction."""
        self.asked_to_decide = False
        """Whether the decision is stored, or may be."""
        self.position: str | None = None
        """Where the source stands, as JSON."""
        self.commit_began: float | None = None

    async def prepared(self, run: str) -> Mapping[str, UnitResult]:
        """The lasting units that an earlier attempt has prepared by the same plan, by id."""
        if self._fresh:
            return {}
        _, texts = await self.reach(lambda store: store.units(self._record.id))
        found: dict[str, UnitResult] = {}
        for unit, text in texts.items():
            fingerprint, (result,) = units_of_text(text)
            if fingerprint == self.plan_fingerprint:
                found[unit] = result
        return found

    async def record(self, run: str, fingerprint: str, result: UnitResult) -> None:
        """Keep what a unit has prepared, if it lasts, so that no other run's sweep takes it for remains.

        Raises ClaimLost when the run is no longer this process's: what its new holder has prepared stays.
        """
        self._live += [receipt.part for receipt in result.receipts.values()]
        if not result.receipts or not result.lasting:
            return
        text = text_of_units(fingerprint, [result], self.redaction)
        own = self._record
        if not await self.reach(
            lambda store: store.keep_unit(own.id, own.claim, result.unit, fingerprint, text)
        ):
            raise ClaimLost(run=own.id, claim=own.claim)

    async def fingerprint(self, run: str) -> str | None:
        """That of the plan whose results are decided; None where nothing binds the run to a plan."""
        return None if self._decision is None else self._decision[0]

    async def decide(self, run: str, results: Sequence[UnitResult]) -> None:
        """Store all receipts together with the decision to commit them, where there is anything that lasts.

        Raises ClaimLost when the run is no longer this process's, NotJson for what cannot be stored.
        """
        await self._flush()
        self.commit_began = self._clock.monotonic()
        last = results[-1].position if results else None
        self.position = None if last is None else json_text("the position of the source", last)
        sinks = {sink for result in results for sink in result.receipts}
        if sinks <= self.joining or not all(result.lasting for result in results):
            return
        text = text_of_units(self.plan_fingerprint, results, self.redaction)
        self.asked_to_decide = True
        if not await self.reach(lambda store: store.decide(self._record.id, self._record.claim, text)):
            self.asked_to_decide = False
            raise ClaimLost(run=self._record.id, claim=self._record.claim)
        self._checked = True

    async def decision(self, run: str) -> Sequence[UnitResult] | None:
        """The decided results of a run whose earlier claim got so far; None where there is no decision."""
        if self._fresh:
            return None
        if self._decision is None:
            text = await self.reach(lambda store: store.decision(self._record.id))
            if text is None:
                return None
            self._decision = units_of_text(text)
            self.asked_to_decide, self.commit_began = True, self._clock.monotonic()
            last = self._decision[1][-1].position if self._decision[1] else None
            self.position = None if last is None else json_text("the position of the source", last)
        return self._decision[1]

    async def committed(self, run: str) -> None:
        """Nothing to do: the run's last transaction removes what is stored here."""

    async def live(self) -> Collection[Part]:
        """The parts that live runs have prepared and not yet committed, those of this run among them."""
        texts = await self.reach(lambda store: store.live_units())
        results = [result for text in texts for result in units_of_text(text)[1]]
        return [*self._live, *(receipt.part for one in results for receipt in one.receipts.values())]

    async def check_claim(self) -> None:
        """Raise ClaimLost if the run was taken away; asks the store, but not right after it took the decision."""
        checked, self._checked = self._checked, False
        if checked:
            return
        if not await self.reach(lambda store: store.holds(self._record.id, self._record.claim)):
            raise ClaimLost(run=self._record.id, claim=self._record.claim)

    async def reach(self, question: Callable[[RunStore], Awaitable[T]]) -> T:
        """Ask the store, again where it does not answer: each question may be asked twice."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._ask(question)
            except StoreUnavailable:
                await self._clock.sleep(retry_delay(attempt, first=FIRST_WAIT, limit=LONGEST_WAIT))
        return await self._ask(question)


class StoreStaging:
    """The staging of one claimed run; see Staging. Under a claim that is lost nothing is kept."""

    def __init__(self, record: RunRecord, *, ledger: str, reach: Ask) -> None:
        self.ledger, self._record, self._reach = ledger, record, reach

    async def add(self, part: Part, chunk: int, text: str) -> None:
        """Keep one more text of the part, in a transaction of its own; the same chunk again replaces it."""
        record = self._record
        if not await self._reach(lambda store: store.stage(record.id, record.claim, part, chunk, text)):
            raise ClaimLost(run=record.id, claim=record.claim)
