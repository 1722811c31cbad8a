"""Which field of a form is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from piko_flow.control.params.params import ParamsRefused
from piko_flow.errors import NotFound, RequestConflicts, RequestRefused, ScheduleError

VALUE: Final = re.compile(r"""'[^']*'|"[^"]*"|['"].*…|-?[\d.]+|None|True|False""")


class FieldRefused(RequestRefused):
    """What one field of a form says is refused; `field` is its name."""

    def __init__(self, *, field: str, what: str, rule: str, got: str, advice: str = "") -> None:
        super().__init__(what=what, rule=rule, got=got, advice=advice)
        self.field = field


@contextmanager
def about(name: str) -> Iterator[None]:
    """What is refused in the block is about this field of the form. Raises FieldRefused instead."""
    try:
        yield
    except (FieldRefused, NotFound, RequestConflicts):
        raise
    except (RequestRefused, ScheduleError) as error:
        raise FieldRefused(
            field=name, what=error.what, rule=error.rule, got=error.got, advice=error.advice
        ) from error


def got_told(got: str) -> str:
    """What came, as the end of a sentence, also where only the value itself is told."""
    if got in ("''", '""'):
        return "got nothing"
    return f"got {got}" if VALUE.fullmatch(got) else got


def fields_of_error(error: RequestRefused | ScheduleError, form: str = "") -> dict[str, str]:
    """The fields that the error is about, with what is wrong in each; empty where that is not known."""
    told = f"{error.rule}; {got_told(error.got)}"
    if isinstance(error, FieldRefused):
        return {error.field: told}
    if form == "trigger":  # which has one field for all parameters
        about = {"params of": "params", "run of": "start"}
        return {name: told for subject, name in about.items() if error.what.startswith(subject)}
    if isinstance(error, ParamsRefused):
        return error.fields()
    return {}
