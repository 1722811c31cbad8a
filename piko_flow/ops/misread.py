"""What of a request does not fit its description, field by field, in the words of all other refusals."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from piko_flow.errors import shorten

MOST = 20  # wrong fields of one request that are told
LONGEST = 500  # characters of a rule that is told of one field
SHOWN = 60  # characters of what came in an address
PYDANTIC = ("Value error, ", "Assertion failed, ")  # what it puts before the words of our own rules
RULES = {
    "missing": "it is needed",
    "model_attributes_type": "it is a JSON object",
    "model_type": "it is a JSON object",
    "dict_type": "it is a JSON object",
    "list_type": "it is a list",
    "string_type": "it is text",
    "bool_type": "it is true or false",
    "int_type": "it is a whole number",
    "int_parsing": "it is a whole number",
    "int_from_float": "it is a whole number",
}
KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "got true or false"),
    (str, "got text"),
    ((int, float), "got a number"),
    (list, "got a list"),
    (dict, "got an object"),
    (bytes, "got something else"),
)


class FieldError(BaseModel):
    """What is wrong in one place of a request: `pointer` leads to a field of its body (RFC 6901, as a fragment),
    `parameter` names one of the address or a header. The rest is as of the whole problem."""

    pointer: str = ""
    parameter: str = ""
    what: str
    rule: str
    got: str = ""
    advice: str = ""

    def __str__(self) -> str:
        text = f"{self.what}: {self.rule}" + (f"; {self.got}" if self.got else "")
        return f"{text}. {self.advice}" if self.advice else text


class Misread(Exception):
    """A request that does not fit its description; `refused` where only rules are broken that no description has.

    `more` counts the wrong fields that are not told.
    """

    def __init__(
        self, status: int, fields: Sequence[FieldError], *, more: int = 0, refused: bool = False
    ) -> None:
        super().__init__("; ".join(map(str, fields[:3])))
        self.status, self.fields, self.more, self.refused = status, list(fields), more, refused


def misread(error: RequestValidationError, body: object = None) -> Misread:
    """The same of what FastAPI has found; `body` is the type of the body, for what it would take. Values of a body
    are not told, since they may be secret."""
    found = error.errors()
    broken = next((one for one in found if one["type"] == "json_invalid"), None)
    if broken is not None:
        return no_json(
            f"{broken.get('ctx', {}).get('error', 'it cannot be read')} at character {broken['loc'][-1]}"
        )
    refused = all(one["type"] == "value_error" for one in found)
    fields = [_field(one, body) for one in found[:MOST]]
    return Misread(422, fields, more=max(0, len(found) - MOST), refused=refused)


def no_json(got: str) -> Misread:
    """A body that cannot be read."""
    told = FieldError(pointer="#", what="the body", rule="it is JSON", got=got)
    return Misread(400, [told])


def other_content(media_type: str) -> Misread:
    """A body that does not say that it is JSON, as that of a form of another site cannot."""
    got = f"it says {media_type[:100]}" if media_type else "it does not say what it is"
    advice = "Send the header Content-Type: application/json"
    rule = "it is JSON, and its Content-Type says so"
    return Misread(415, [FieldError(pointer="#", what="the body", rule=rule, got=got, advice=advice)])


def unknown_parameter(name: str, known: Collection[str]) -> FieldError:
    """A parameter in the query that the address does not have."""
    advice = nearest(name, known) or (f"It takes {', '.join(sorted(known))}" if known else "It takes none")
    rule = "an address has only parameters that are described"
    return FieldError(
        parameter=name[:100],
        what=f"query parameter {name[:100]}",
        rule=rule,
        got="no parameter is named so",
        advice=advice,
    )


def escaped(key: str) -> str:
    """The key as a pointer has it (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def nearest(name: str, known: Collection[str]) -> str:
    """A question for the known name that is most like this one; empty where none is."""
    close = get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {close[0]}?" if close else ""


def _field(error: Mapping[str, Any], body: object) -> FieldError:
    place, *path = error["loc"] or ("body",)
    told = {"rule": _rule(error), "got": _came(error, place), "advice": ""}
    if place != "body":
        name = str(path[0])[:100] if path else ""
        noun = "header" if place == "header" else f"{place} parameter"
        return FieldError(parameter=name, what=f"{noun} {name}", **told)
    keys = [str(one)[:100] for one in path]
    pointer = "#" + "".join("/" + escaped(key) for key in keys)
    what = f"field {'.'.join(keys)}" if keys else "the body"
    if error["type"] == "extra_forbidden":
        known = _names(body, path[:-1])
        told |= {"rule": "a body has only fields that are described", "got": "no field is named so"}
        told["advice"] = nearest(keys[-1], known) or (f"It takes {', '.join(sorted(known))}" if known else "")
        if len(keys) == 1 and not told["advice"].startswith("Did") and (example := _example(body)):
            told["advice"] += f". Send for example {example}"
    elif not keys and (example := _example(body)):
        told["advice"] = f"Send for example {example}"
    return FieldError(pointer=pointer, what=what, **told)


def _rule(error: Mapping[str, Any]) -> str:
    rule = RULES.get(error["type"]) or str(error["msg"])
    for words in PYDANTIC:
        rule = rule.removeprefix(words)
    return rule.replace("Input should be", "it should be", 1)[:LONGEST]


def _came(error: Mapping[str, Any], place: object) -> str:
    if error["type"] == "missing":
        return "it is missing"
    value = error.get("input")
    if place in ("path", "query"):
        return f"got {shorten(value, SHOWN)}"
    if value is None:
        return "got null"
    return next((told for kind, told in KINDS if isinstance(value, kind)), "")


def _models(kind: object) -> Iterator[type[BaseModel]]:
    """The models that a type is or holds."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for inner in get_args(kind):
        yield from _models(inner)


def _names(kind: object, path: Sequence[int | str]) -> set[str]:
    """The fields that the type has at that path; none where it is no model."""
    for key in path:
        fields = {name: field for model in _models(kind) for name, field in model.model_fields.items()}
        kind = fields[str(key)].annotation if str(key) in fields else kind
    return {name for model in _models(kind) for name in model.model_fields}


def _example(kind: object) -> str:
    """The first example of the body's description, as JSON."""
    for model in _models(kind):
        extra = model.model_config.get("json_schema_extra")
        examples = extra.get("examples") if isinstance(extra, dict) else None
        if isinstance(examples, list) and examples:
            return json.dumps(examples[0])
    return ""
