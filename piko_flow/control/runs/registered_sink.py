"""A sink that an application has registered by name, with how it is reached."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, Union

from piko_flow.connectors.spool import Spool
from piko_flow.connectors.spool_models import is_model
from piko_flow.control.runs.emitting import ItemKey, Writer
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage import SinkLike, describe
from piko_flow.errors import PipelineError


@dataclass(frozen=True)
class RegisteredSink:
    """What `App.register_sink` was given; see there."""

    name: str
    sink: Any
    models: tuple[type, ...] = ()
    key: ItemKey = None
    whole: bool = False
    spool: bool = True

    def check(self, taken: Collection[str]) -> None:
        """Raise PipelineError for what cannot work, at the line that registers it.

        `taken` are the names that others have.
        """
        if self.name in taken:
            self._refuse("a name belongs to one sink", "it is registered already")
        for one in self.models:
            if not is_model(one):
                self._refuse("models are classes of Pydantic models or dataclasses", f"got {describe(one)}")
        if not (self.key is None or isinstance(self.key, str) or callable(self.key)):
            self._refuse("key is the name of a field or a function of an item", f"got {describe(self.key)}")
        if not self.spool and isinstance(self.sink, Spool):
            self._refuse(
                "spool=False keeps nothing on the disk", "the sink is a Spool", "Hand over its sink alone"
            )
        self.register(Writer())
        if self.models and not self.whole:
            _ = _emitting(self.models) >> self._chain()  # composing refuses a model that it does not take

    def register(self, writer: Writer) -> None:
        """Let the writer reach it."""
        if self.spool:
            writer.register_spool(self.name, self._spool(), key=self.key)
        else:
            writer.register(self.name, self.sink, whole=self.whole, key=self.key)

    def _spool(self) -> Spool[Any]:
        if not isinstance(self.sink, Spool):
            return Spool(self.sink, models=self.models, whole=self.whole)
        if self.models or self.whole:
            self._refuse(
                "models and whole are options of the spool",
                "the sink is a Spool",
                "Write Spool(sink, models=[...], whole=True)",
            )
        return self.sink

    def _chain(self) -> SinkLike[Any]:
        return self.sink if isinstance(self.sink, SinkLike) else Sink(self.sink)

    def _refuse(self, rule: str, got: str, advice: str = "") -> NoReturn:
        what = f"register_sink({self.name!r})"
        raise PipelineError(what=what, where=str(caller()), rule=rule, got=got, advice=advice)


def _emitting(models: tuple[type, ...]) -> Source[Any]:
    """A source of these models, by which composing tells whether a chain takes each of them."""

    def emitted() -> Iterable[Any]:
        return ()

    emitted.__annotations__["return"] = Iterable[Union[models]]  # type: ignore[valid-type]  # noqa: UP007
    return Source(emitted)
