"""The description of the API shows by examples what is sent and what is answered, and each example is right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from tests.unit.api_worlds import api_world

PLACE = "#/components/schemas/"


async def description() -> dict[str, Any]:
    """The description as programs get it."""
    async with api_world() as world:
        found: dict[str, Any] = (await world.client.get("/api/v1/openapi.json")).json()
        return found


def contents(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each operation takes, and what it answers when it has done what was asked."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            sides = {"takes": operation["requestBody"]["content"]} if "requestBody" in operation else {}
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    sides[f"answers {status}"] = answer["content"]
            for side, kinds in sides.items():
                for content in kinds.values():
                    yield f"{method.upper()} {path} {side}", content["schema"]


def parts(schema: dict[str, Any], document: dict[str, Any], known: set[str]) -> Iterator[dict[str, Any]]:
    """The schema and all that it is made of, each part that has a name once."""
    name = schema.get("$ref", "").removeprefix(PLACE)
    if name:
        if name not in known:
            known.add(name)
            yield from parts(document["components"]["schemas"][name], document, known)
        return
    yield schema
    inner = [one for kind in ("anyOf", "oneOf", "allOf", "prefixItems") for one in schema.get(kind, ())]
    inner += [*schema.get("properties", {}).values()]
    inner += [
        schema[kind] for kind in ("items", "additionalProperties") if isinstance(schema.get(kind), dict)
    ]
    for one in inner:
        yield from parts(one, document, known)


async def test_whatever_is_sent_or_answered_has_an_example() -> None:
    document = await description()
    found = dict(contents(document))
    assert len(found) > 50
    bare = [
        where
        for where, schema in found.items()
        if not any("examples" in part for part in parts(schema, document, set()))
    ]
    assert bare == []


async def test_each_example_is_valid_against_its_schema() -> None:
    document = await description()
    wrong, seen = [], 0
    known: set[str] = set()
    schemas = [schema for _, schema in contents(document)] + list(document["components"]["schemas"].values())
    for part in (part for schema in schemas for part in parts(schema, document, known)):
        assert "example" not in part, "the one word for it is examples"
        whole = Draft202012Validator({**part, "components": document["components"]})
        for example in part.get("examples", ()):
            seen += 1
            wrong += [f"{part.get('title', part)}: {one.message}" for one in whole.iter_errors(example)]
    assert seen > 20
    assert wrong == []


async def test_examples_of_bodies_name_only_fields_that_there_are() -> None:
    document = await description()
    bodies = [schema for where, schema in contents(document) if where.endswith("takes")]
    known: set[str] = set()
    for part in (part for schema in bodies for part in parts(schema, document, known)):
        for example in part.get("examples", ()):
            if isinstance(example, dict) and "properties" in part:
                assert set(example) <= set(part["properties"]), part.get("title")
