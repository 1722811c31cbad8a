"""What a unit has prepared, as JSON text and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, TypeVar

import orjson

from piko_flow.control.dead_letters.dead_letters import stored
from piko_flow.control.params.payload import StoredPayload
from piko_flow.control.params.redaction import NOTHING_HIDDEN, Redaction
from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.reports.tally import EdgeTally, OperatorTimes, StageTally
from piko_flow.dataflow.stages.sink import Part, Receipt
from piko_flow.errors import PikoFlowError, describe_error

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
