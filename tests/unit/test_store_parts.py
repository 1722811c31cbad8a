"""A store is made of parts that share one object, so no two of them may mean different things by one name."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import Counter

import pytest

from piko_flow.store.memory.store import MemoryStore
from piko_flow.store.sql.store import SqlStore

SHARED = {"_database", "_abc_impl"}  # one object for all parts, and what Python itself keeps


def own_names(part: type) -> set[str]:
    """What a class itself defines, and what it sets of `self`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
    found = {name for name in vars(part) if not name.startswith("__")}
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets += [node.target] if isinstance(node, ast.AnnAssign) and node.value is not None else []
        for target in targets:
            for one in target.elts if isinstance(target, ast.Tuple) else [target]:
                if (
                    isinstance(one, ast.Attribute)
                    and isinstance(one.value, ast.Name)
                    and one.value.id == "self"
                ):
                    found.add(one.attr)
    return found


def parts(store: type) -> list[type]:
    return [
        part
        for part in store.__mro__
        if part.__module__.startswith("piko_flow.store.") and not getattr(part, "_is_protocol", False)
    ]


@pytest.mark.parametrize("store", [SqlStore, MemoryStore])
def test_no_two_parts_of_a_store_use_one_name(store: type) -> None:
    found = parts(store)
    assert len(found) > 3
    assert {"runs", "write"} <= {name for part in found for name in own_names(part)}
    many = Counter(name for part in found for name in own_names(part) if name not in SHARED)
    assert [name for name, count in many.items() if count > 1] == []
