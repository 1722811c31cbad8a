"""What a replay does with dead letters: where they enter, what they are there, and what became of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from piko_flow.control.dead_letters.dead_letters import count_of, record_of
from piko_flow.control.dead_letters.decoding import Decoder, refused
from piko_flow.control.dead_letters.emitted_letters import emitted_again
from piko_flow.control.flows.run_context import Emitted
from piko_flow.control.params.payload import StoredPayload, encode_payload, values_of
from piko_flow.control.params.redaction import Redaction
from piko_flow.dataflow.graph.boxes import graph_of
from piko_flow.dataflow.plan.entry import find, named, taken_at, why_closed
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.stages.stage import Pipeline
from piko_flow.store.records import DeadLetterRecord

REPLAY = "replay"
"""The origin of a run that replays dead letters."""
BEHIND = " > "
"""In the stage of a letter: between a spool's own and the one behind it that failed on what others had made."""
MOST = 500  # letters of one replay: fewer than the dead letters that a run holds, so that each that fails is known

Payloads = Mapping[int, str]
"""By letter: its payload, where that lies in a file."""


def check_accepted(letter: DeadLetterRecord) -> None:
    """Raise RequestRefused for an item that stages behind a spool have changed: they would change it once more."""
    spool, _, behind = letter.stage.partition(BEHIND)
    if behind:
        got = f"the item is what other stages behind {spool!r} had made of that when it came to {behind!r}"
        raise refused(letter, "what enters a spool again is what it had accepted", got)


def check_entry(pipeline: Pipeline, letter: DeadLetterRecord) -> tuple[Decoder, bool]:
    """What makes items again for the stage at which the letter failed; and whether that stage is the first.

    Raises RequestRefused where the stage is gone, or where some items alone must not enter.
    """
    graph = graph_of(pipeline)
    box = find(graph, letter.stage)
    if box is None:
        check_accepted(letter)
        got = f"{letter.stage!r} is gone; there are {', '.join(named(graph))}"
        raise refused(letter, "it enters at the stage that it failed at", got)
    if reason := why_closed(graph, box):
        raise refused(letter, "what is behind its stage must take some items alone", reason)
    first = any(edge.start == 0 for edge in graph.into(box.number))
    return Decoder(box, taken_at(graph, box)), first


@dataclass
class Replay:
    """The letters of one replay with their items, and by their failures what becomes of them."""

    letters: Sequence[DeadLetterRecord]
    stage: str = ""
    items: list[Any] = field(default_factory=list)
    _owner: dict[int, int] = field(default_factory=dict)
    _by_text: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    @staticmethod
    def of(
        pipeline: Pipeline,
        letters: Sequence[DeadLetterRecord],
        payloads: Payloads,
        *,
        whole: bool = False,
    ) -> Replay:
        """The replay of these letters, which all failed at one stage. Raises RequestRefused, see check_entry.

        With `whole` the first stage takes Emitted values.
        """
        made = Replay(letters, letters[0].stage)
        reviver, first = check_entry(pipeline, letters[0])
        if whole := whole and first:
            reviver.taken = Any
        for place, letter in enumerate(letters):
            for item in reviver.items(letter, payloads.get(letter.id, letter.payload)):
                item = emitted_again(letter, item) if whole else item
                made._owner[id(item)] = place
                made._by_text[_text(item)].append(place)
                made.items.append(item)
        return made

    async def read(self) -> AsyncIterator[Any]:
        """The items, letter by letter."""
        for item in self.items:
            yield item

    def failures(
        self, failed: Iterable[DeadLetter], redaction: Redaction
    ) -> tuple[tuple[DeadLetterRecord, ...], list[DeadLetter], int]:
        """The letters that failed again, each with its new error; the dead letters that are none of them; and how many
        items the former are.

        A batch of which some items were written keeps the others.
        """
        lost: dict[int, list[Any]] = defaultdict(list)
        why: dict[int, DeadLetter] = {}
        others: list[DeadLetter] = []
        for one in failed:
            if one.stage != self.stage:
                others.append(one)
                continue
            for value, identity in _values(one):
                if (place := self._place(value, identity)) is not None:
                    lost[place].append(value)
                    why[place] = one
        again = tuple(self._again(place, lost[place], why[place], redaction) for place in sorted(lost))
        return again, others, sum(map(len, lost.values()))

    def _place(self, value: Any, identity: int) -> int | None:
        """The place of the letter whose item it is; of equal items each is one once."""
        own, places = self._owner.get(identity), self._by_text.get(_canonical(value))
        if not places:
            return own  # the stage has changed it before it failed
        place = own if own in places else places[0]
        places.remove(place)
        return place

    def _again(
        self, place: int, values: list[Any], failed: DeadLetter, redaction: Redaction
    ) -> DeadLetterRecord:
        letter = self.letters[place]
        record = record_of(letter.flow, failed, redaction=redaction, sink=letter.sink)
        return replace(record, id=letter.id, payload=_fewer(letter, values))


def _fewer(letter: DeadLetterRecord, values: list[Any]) -> str:
    """The payload of a batch with these items alone; empty where that is as it was."""
    if not letter.batch or letter.payload_file:
        return ""
    kept = json.loads(letter.payload)
    if len(kept["value"]) == len(values):
        return ""
    return json.dumps({**kept, "value": values, "items": count_of(letter)}, ensure_ascii=False)


def _values(letter: DeadLetter) -> list[tuple[Any, int]]:
    """The items of a dead letter as JSON values, each with the identity of the item where it is there itself."""
    item = letter.item
    if not letter.batch:
        return [(_value(item), id(item))]
    if isinstance(item, StoredPayload):
        return [(value, 0) for value in values_of(item.text) or ()]
    return [(_value(one), id(one)) for one in item]


def _value(item: Any) -> Any:
    return values_of(encode_payload(item.payload if isinstance(item, Emitted) else item))


def _text(item: Any) -> str:
    return _canonical(_value(item))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
