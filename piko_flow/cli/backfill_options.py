"""The words that say which backfill is meant; planning and applying take the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.control_arguments import FlowName, Params, ParamsObject, given_params, window_of

if TYPE_CHECKING:
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.control.operations.plane_backfills import BackfillRequest

Span = Annotated[
    str,
    typer.Argument(
        metavar="START..END",
        help="The span, the end left out; times without an offset are of the flow's zone.",
        show_default=False,
    ),
]
What = Annotated[
    str,
    typer.Option(
        "--kind",
        help="gap (what failed, and what was planned and is missing), missing (what nobody has run, and what was skipped), failed "
        "(and what was done with items missing), or all.",
    ),
]
Newest = Annotated[bool, typer.Option("--newest-first", help="Run the newest window first.")]
AtOnce = Annotated[int, typer.Option("--concurrency", min=1, help="How many of its runs go at once.")]


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """A backfill as it is asked for."""

    flow: FlowName
    span: Span
    kind: What = "missing"
    newest_first: Newest = False
    concurrency: AtOnce = 1
    param: Params = None
    params: ParamsObject = None

    async def request(self, plane: ControlPlane) -> BackfillRequest:
        """The same as the plane takes it, which knows the flow's zone and model. Raises BadParameter."""
        from piko_flow.control.operations.plane_backfills import BackfillRequest

        model = plane.registered(self.flow).params
        return BackfillRequest(
            flow=self.flow,
            span=window_of(self.span, await plane.zone(self.flow), "the span"),
            kind=self.kind,
            newest_first=self.newest_first,
            concurrency=self.concurrency,
            params=given_params(self.param, self.params, model),
        )
