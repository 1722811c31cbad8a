"""Items of dead letters made again, as the code of today takes them; refused where that cannot be."""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation

from piko_flow.dataflow.graph.boxes import Box
from piko_flow.dataflow.graph.generics import class_of, members_of
from piko_flow.dataflow.graph.typing import show
from piko_flow.dataflow.stages.transform import Parse
from piko_flow.errors import RequestRefused
from piko_flow.store.records import DeadLetterRecord

SCALARS: dict[str, type[Any]] = {kind.__name__: kind for kind in (str, int, float, bool, bytes, type(None))}
CONTAINERS: dict[str, type[Any]] = {kind.__name__: kind for kind in (dict, list, tuple, set, frozenset)}
MASK = "**********"  # what Pydantic writes instead of a secret
TOLD = 200  # characters of what a model has against an item


class Decoder:
    """Makes the items of letters again that failed at one stage, `taken` being the type that it takes (Any: unknown).

    Classes are looked up among the modules that are loaded; nothing is imported.
    """

    def __init__(self, box: Box, taken: Any) -> None:
        self._parses, self.taken = isinstance(box.stage, Parse), taken
        self._adapters: dict[str, TypeAdapter[Any]] = {}

    def items(self, letter: DeadLetterRecord, payload: str) -> list[Any]:
        """The items of a letter, made from its payload: as values of their own class where the stage takes it, else of
        the type that the stage takes.

        Raises RequestRefused where the payload has not all of an item, or does not fit that type as it is today.
        """
        kept = json.loads(payload)
        if "value" not in kept:
            raise refused(
                letter, "an item is replayed from its JSON", "only a text for people was kept of it"
            )
        if hidden := kept.get("redacted"):
            raise refused(
                letter, "an item is replayed with all its fields", f"{', '.join(hidden)} was redacted"
            )
        if MASK in payload:
            raise refused(letter, "an item is replayed with all its fields", "a secret in it was not kept")
        if kept.get("exact") is False and not self._gives_types():
            got = "values in it, as times or numbers of other kinds, were kept as text, and nothing says what they are"
            raise refused(letter, "an item is made again as what it was", got)
        values = kept["value"] if letter.batch else [kept["value"]]
        return [self._made(letter, value) for value in values]

    def _gives_types(self) -> bool:
        """Whether the stage tells the types of all fields of an item."""
        kinds = [class_of(member) for member in members_of(self.taken)]
        plain = (Any, object, *CONTAINERS.values())
        return self._parses or not any(kind in plain for kind in kinds)

    def _made(self, letter: DeadLetterRecord, value: Any) -> Any:
        kind = self._kind(letter)
        if type(value) is kind:
            return value
        try:
            return self._adapter(letter, kind).validate_json(json.dumps(value), by_alias=True, by_name=True)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}"
                for one in error.errors(include_url=False, include_context=False, include_input=False)
            )
            told = wrong if len(wrong) <= TOLD else wrong[: TOLD - 1] + "…"
            # The error has the values of the item in it, which nobody else may see.
            raise refused(letter, f"its item must fit {show(kind)} as it is today", told) from None

    def _kind(self, letter: DeadLetterRecord) -> Any:
        """The class of the item where the stage takes it, else what the stage takes."""
        own = class_named(letter.model)
        if self.taken is Any or self.taken is object:
            if own is None:
                named = f"its class {letter.model}" if letter.model else "the class of its items"
                raise refused(
                    letter, "an item is made again as what it was", f"{named} is not in the code of today"
                )
            return own
        kinds = [class_of(member) for member in members_of(self.taken)]
        fits = own is not None and any(isinstance(kind, type) and issubclass(own, kind) for kind in kinds)
        return own if fits and own not in CONTAINERS.values() else self.taken

    def _adapter(self, letter: DeadLetterRecord, kind: Any) -> TypeAdapter[Any]:
        found = self._adapters.get(letter.model)
        if found is None:
            try:
                found = self._adapters[letter.model] = _adapter_of(kind)
            except (PydanticUserError, PydanticUndefinedAnnotation) as error:
                got = f"it cannot make a {show(kind)}"
                raise refused(letter, "an item is made again by Pydantic", got) from error
        return found


def class_named(name: str) -> type[Any] | None:
    """The class of this name, as payloads name it, where a loaded module has it."""
    if (python := SCALARS.get(name) or CONTAINERS.get(name)) is not None:
        return python
    parts = name.split(".")
    for split in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:split]))
        if found is not None:
            for part in parts[split:]:
                found = getattr(found, part, None)
            return found if isinstance(found, type) else None
    return None


def refused(letter: DeadLetterRecord, rule: str, got: str) -> RequestRefused:
    """The refusal to replay a letter, with what to do instead."""
    return RequestRefused(what=replay_of(letter), rule=rule, got=got, advice=_instead(letter))


def replay_of(letter: DeadLetterRecord) -> str:
    """What is asked for where a letter is replayed, as refusals begin."""
    return f"replay dead letter {letter.id}"


def _instead(letter: DeadLetterRecord) -> str:
    if letter.window is None:
        return f"Run the flow again instead: piko-flow trigger {letter.flow}"
    span = "..".join(f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in letter.window)
    return f"Reprocess its window instead: piko-flow backfill apply {letter.flow} {span} --kind failed"


def _adapter_of(kind: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(kind, config=ConfigDict(val_json_bytes="base64"))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        return TypeAdapter(kind)  # a class that has a configuration of its own
