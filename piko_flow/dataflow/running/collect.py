"""Looking at what a source gives, without a sink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from piko_flow.counting import whole_number
from piko_flow.dataflow.plan.plan import make_plan
from piko_flow.dataflow.plan.plan_options import Capacity, PlanOptions
from piko_flow.dataflow.reports.preview import preview_html, preview_text
from piko_flow.dataflow.running.blocking import blocking
from piko_flow.dataflow.running.run import ActiveRun
from piko_flow.dataflow.stages.sink import Sink, SinkTarget
from piko_flow.errors import RunError


class _Keep(SinkTarget[Any]):
    """Holds what arrives; with a limit it ends the reading when it has enough."""

    durable = False

    def __init__(self, kept: list[Any], limit: int | None) -> None:
        self.kept, self.limit = kept, limit
        self.enough: Any = None

    async def write(self, items: Sequence[Any], /) -> None:
        """Keep the items, up to the limit."""
        room = len(items) if self.limit is None else self.limit - len(self.kept)
        self.kept += items[:room]
        if self.limit is not None and len(self.kept) >= self.limit and self.enough is not None:
            self.enough()


async def collect(source: Any, limit: int | None = None) -> list[Any]:
    """The items of a source chain, all or the first `limit`."""
    kept: list[Any] = []
    if limit == 0:
        return kept
    target = _Keep(kept, limit)
    options = PlanOptions() if limit is None else PlanOptions(capacity=Capacity(1))  # read no further ahead
    active = ActiveRun(
        make_plan(source >> Sink(target, batch=256 if limit is None else 1, name="collect"), options)
    )
    if limit is None:
        await active.run()
        return kept
    async with active.background():
        target.enough = active.cancel
        try:
            await active.wait()
        except RunError:
            if len(kept) < limit:  # otherwise it is about what lies behind the items wanted
                raise
    return kept


def take(source: Any, count: int) -> list[Any]:
    """The first `count` items; waits for them here, whether or not a loop is running."""
    whole_number("the count of items to take", count, source.refuse, least=0)
    return blocking(lambda: collect(source, count))


def preview(source: Any, count: int = 5) -> Preview:
    """The first `count` items as a value that shows itself as a table."""
    return Preview(tuple(take(source, count)), source.name)


@dataclass(frozen=True)
class Preview:
    """Some items of a source, shown as a table in a notebook and as lines in a terminal."""

    items: tuple[Any, ...]
    source: str

    def __repr__(self) -> str:
        return preview_text(self.items)

    def _repr_html_(self) -> str:
        return preview_html(self.items)
