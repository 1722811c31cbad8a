"""A name says what a thing is for; names that fit everything are refused for files and classes."""

import ast
import re

from tests.architecture.checkout import python_files, tree

FORBIDDEN = {
    *("util", "utils", "helper", "helpers", "common", "misc", "manager", "managers", "handler", "handlers"),
    *("node", "nodes", "processor", "processors", "queue", "queues", "cursor", "cursors"),
}
CHECKED = ("piko_flow", "pipelines", "tests")


def words(name: str) -> set[str]:
    """The words of a snake_case or CamelCase name, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def test_no_file_or_folder_has_a_name_that_fits_everything() -> None:
    named = {
        str(path): set[str]().union(*map(words, path.with_suffix("").parts))
        for path in python_files(*CHECKED)
    }
    assert {path: found & FORBIDDEN for path, found in named.items() if found & FORBIDDEN} == {}


def test_no_class_has_a_name_that_fits_everything() -> None:
    named = {
        f"{path}:{found.lineno} {found.name}": words(found.name)
        for path in python_files(*CHECKED)
        for found in ast.walk(tree(path))
        if isinstance(found, ast.ClassDef)
    }
    assert {where: found & FORBIDDEN for where, found in named.items() if found & FORBIDDEN} == {}
