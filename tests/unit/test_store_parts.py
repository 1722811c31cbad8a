"""The parts of the store in SQL share one object, so each must keep to names of its own."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict

from piko_flow.store.sql.store import PARTS

SHARED = {"__init__", "_database"}


def names(part: type) -> set[str]:
    """What the class itself defines or sets on its object."""
    (tree,) = ast.parse(inspect.getsource(part)).body
    written = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    own = {
        node.attr
        for node in written
        if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }
    return own | {name for name, value in vars(part).items() if inspect.isfunction(value)}


def test_no_two_parts_of_the_store_have_a_name_in_common() -> None:
    owners: dict[str, set[str]] = defaultdict(set)
    for one in {one for part in PARTS for one in part.__mro__ if one is not object}:
        for name in names(one) - SHARED:
            owners[name].add(one.__name__)
    assert {"claim", "delete_schedule", "_oldest"} <= set(owners)
    assert {name: found for name, found in owners.items() if len(found) > 1} == {}
