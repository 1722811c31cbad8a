"""How a command of the control half asks and answers.

One message for a mistake, a table for people, JSON for programs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from piko_flow.cli.arguments import AsJson, Debug
from piko_flow.cli.control_arguments import Database, InUtc, Packages
from piko_flow.cli.mistakes import mistakes_told

if TYPE_CHECKING:
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane import ControlPlane

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asking:
    """What commands of the control half are given: where the flows and the database are, and how to answer."""

    packages: Packages = None
    database: Database = None
    utc: InUtc = False
    as_json: AsJson = False
    debug: Debug = False

    def times(self) -> Times:
        """How tables and facts tell times: without offsets, the zone named once.

        A sentence tells them as `exact` does.
        """
        from piko_flow.cli.viewer_zone import viewer_zone
        from piko_flow.control.flows.told_times import Times
        from piko_flow.planning.zones import find_zone

        return Times(find_zone("UTC") if self.utc else viewer_zone(), offsets=False)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Inside the block a user's mistake ends the command with one message; with --json in a document, too."""
        with mistakes_told(debug=self.debug), ExitStack() as stack:
            if self.as_json:
                from piko_flow.cli.json_output import failure_told

                stack.enter_context(failure_told())
            yield

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Inside the block nothing that user code prints reaches standard output, if --json was given."""
        with ExitStack() as stack:
            if self.as_json:
                from piko_flow.cli.json_output import standard_output_kept

                stack.enter_context(standard_output_kept())
            yield

    def ask(self, work: Callable[[ControlPlane], Awaitable[T]]) -> T:
        """What the plane answers. With --json nothing that user code prints reaches standard output."""
        from piko_flow.cli.application import asked

        with self.kept():
            return asked(work, packages=self.packages or (), database=self.database)

    def answer(self, values: Callable[[], Mapping[str, Any]], show: Callable[[], None]) -> None:
        """Print the answer: `values()` as a document with --json, else whatever `show()` prints."""
        if not self.as_json:
            show()
            return
        from piko_flow.cli.json_output import write_json
        from piko_flow.control.flows.json_values import json_values

        write_json(json_values(values()))


WITHOUT_CODE = "code not given (-p)"
"""How a flow stands as far as a command knows that was given no code at all; replicas may have it."""


def note_without_code(known: bool) -> None:
    """Say on standard error that no code is known, where rows are listed whose flows nobody has."""
    if not known:
        from piko_flow.control.flows.registry import NO_PACKAGE

        told = "replicas may have it, and flows without a row are not listed"
        typer.echo(f"note: the code of none of these is known here ({told}): {NO_PACKAGE}", err=True)
