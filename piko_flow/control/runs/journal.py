"""A run's receipts and its decision to commit, kept in the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from piko_flow.clock import Clock
from piko_flow.control.params.redaction import NOTHING_HIDDEN, Redaction
from piko_flow.control.runs.unit_text import json_text, text_of_units, units_of_text
from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.stages.sink import Part
from piko_flow.errors import ClaimLost, StoreUnavailable
from piko_flow.retry import retry_delay
from piko_flow.store.protocols import RunStore
from piko_flow.store.records import RunRecord

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
