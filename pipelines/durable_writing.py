"""Results that are safe as soon as they are emitted: a registered sink behind a spool on the disk.

`run.emit` returns when the item is on the disk. From there a writer takes batches, by number or by age, to the sink,
again and again while the sink fails. A process that is killed loses nothing: the next one writes what was left. An item
may be written twice then, under the same key.

    uvicorn pipelines.durable_writing:app.api
    piko-flow trigger produce_intents -p pipelines.durable_writing

Sinks belong to an application, so this module has one; `piko-flow serve` knows the flow without the sink.
"""

from collections.abc import Sequence
from typing import Any, Final

from piko_flow import App, Flow, RunContext
from piko_flow.connectors.spool import Spool, Spooled

ITEMS: Final = 1000
WAITING: Final = 10_000  # so many may wait on the disk; then `emit` waits


class PrintSink:
    """Writes a batch by saying it, one line an item."""

    async def write(self, items: Sequence[Spooled]) -> None:
        """Say each item's key and what was emitted."""
        for item in items:
            print(f"[SINK] {item.key} {item.payload}")


def durable(sink: Any) -> Spool[Any]:
    """Give the sink behind a spool: lists of at most 100 items, of which none waits for more than half a second."""
    return Spool(sink, items=WAITING, batch=100, within=0.5, whole=True)


app = App("persist_demo", packages=["pipelines.durable_writing"])
app.register_sink("print", durable(PrintSink()))


@Flow.register("produce_intents", tags=["example"])
async def produce_intents(run: RunContext) -> None:
    """Emit numbers, each under its own key."""
    for number in range(ITEMS):
        await run.emit({"i": number}, to="print", key=str(number))
