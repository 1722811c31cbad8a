"""The reference has every public name, and says what the code says."""

import re
from importlib import import_module

import pytest

import piko_flow
from piko_flow import errors, testing
from piko_flow.connectors import files
from piko_flow.control.flows.flow_options import FlowValues
from piko_flow.dataflow.running.run_options import RunValues
from piko_flow.dataflow.stages.stage_options import OptionValues
from tests.docs.reference import PAGE, promise, reference
from tests.docs.subjects import OPTIONS_OF_A_FLOW, OPTIONS_OF_A_RUN, SUBJECTS

TEXT = PAGE.read_text(encoding="utf-8")
NAMES = re.findall(r"^### (\w+)$", TEXT, re.MULTILINE)
ERRORS = [name for name, value in vars(errors).items() if isinstance(value, type) and name[0].isupper()]


def test_the_reference_is_what_docstrings_and_signatures_say() -> None:
    assert reference() == TEXT, "write it anew: python -m tests.docs.reference"


@pytest.mark.parametrize(
    ("where", "public"),
    [
        ("piko_flow", piko_flow.__all__),
        ("piko_flow.connectors.files", files.__all__),
        ("piko_flow.testing", testing.__all__),
        ("piko_flow.errors", [name for name in ERRORS if name not in ("Iterable", "Mapping", "Any")]),
    ],
)
def test_every_public_name_has_a_place_in_it(where: str, public: list[str]) -> None:
    assert [name for name in public if name not in NAMES] == [], where


def test_no_name_is_there_twice() -> None:
    assert sorted(NAMES) == sorted(set(NAMES))


def test_every_option_of_a_run_a_flow_and_a_stage_is_named() -> None:
    assert [option for option in FlowValues.__annotations__ if f"`{option}`" not in OPTIONS_OF_A_FLOW] == []
    assert [option for option in RunValues.__annotations__ if f"| `{option}` |" not in OPTIONS_OF_A_RUN] == []
    assert [option for option in OptionValues.__annotations__ if f" {option}=" not in TEXT] == []


def test_everything_in_it_promises_something() -> None:
    for subject in SUBJECTS:
        for name in subject.names.split():
            assert promise(getattr(import_module(subject.module), name)), name
