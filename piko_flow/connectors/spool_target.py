"""The description of a spool: what stands before a sink that may fail or be slow."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from contextvars import ContextVar
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, Protocol, runtime_checkable

from piko_flow.clock import Clock
from piko_flow.connectors.spool_delivery import checked_sink
from piko_flow.connectors.spool_errors import SpoolRefused
from piko_flow.connectors.spool_file import Origin
from piko_flow.connectors.spool_folder import folder_name, state_home
from piko_flow.connectors.spool_letters import DeadLetters
from piko_flow.connectors.spool_live import LiveSpool
from piko_flow.connectors.spool_models import is_model
from piko_flow.connectors.spool_options import checked_options
from piko_flow.counting import counted
from piko_flow.dataflow.graph.function import item_of, signature_of
from piko_flow.dataflow.graph.generics import class_of, members_of
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.stages.sink import Part, Receipt, SinkTarget, T_contra
from piko_flow.dataflow.stages.stage import SinkLike
from piko_flow.known_names import unknown_options_refused
from piko_flow.retry import Retry

_MIB: Final = 1024 * 1024


class OpenSpools(Protocol):
    """The spools that are open around a run."""

    async def live(self, spool: Spool[Any], name: str) -> LiveSpool:
        """The open spool of this name, opened now if it is not yet."""
        ...


@runtime_checkable
class Bound(Protocol):
    """A sink that writes to the database of the application unless it names another."""

    url: Any

    def bound_to(self, url: str) -> Any:
        """The same, writing by itself to the database at the URL."""
        ...


open_spools: ContextVar[OpenSpools | None] = ContextVar("open_spools", default=None)
"""Set around runs by an application that keeps spools open for all of them."""


@unknown_options_refused
class Spool(SinkTarget[T_contra], Generic[T_contra]):
    """Accepts items durably, and writes them to a sink in the background, for as long as it takes.

    `write` returns when its items are on the disk (an SQLite file in a private folder); from then on a killed process,
    a full disk or a sink that is down loses nothing. Items are removed when `sink` has acknowledged them: each is
    written at least once, in the order of its process, but those that a failing list is searched for. `sink` is an
    object with `write(items)`, a function of one item, or a chain that ends in sinks; it gets what was kept as JSON:
    values as they were, models and dataclasses of the classes in `models` and in the annotations of the sink.

    Up to `items` items and `bytes` bytes wait; beyond, `write` does. Lists of at most `batch` items are written when
    the sink is free, or `within` seconds after their first item for fuller ones; a list may take `timeout` seconds. What
    fails is tried again with the pauses of `retry` without end, unless single items are to blame: see its page. `whole`
    gives the sink Spooled values, with a key for each item.

    Under an application, spools are open as long as it runs. A bare run opens the spool for itself, writes for up to
    `flush` seconds when it ends, and leaves the rest in the folder, for the next who opens a spool of that `name` there.
    `folder` is by default ~/.local/state/piko-flow/spool, or the application's.
    """

    def __init__(
        self,
        sink: Any,
        /,
        *,
        name: str = "",
        folder: str | PathLike[str] | None = None,
        models: Iterable[type] = (),
        items: int = 100_000,
        bytes: int = 256 * _MIB,  # noqa: A002  # as options of channels and reports call it
        batch: int = 1000,
        within: float | timedelta = 0.0,
        timeout: float | timedelta = 60.0,
        flush: float | timedelta = 10.0,
        retry: Retry | None = None,
        whole: bool = False,
    ) -> None:
        self.where = str(caller())
        if not isinstance(name, str):
            self.refuse("name must be text", f"got {name!r}")
        self.name, self.folder = name, None if folder is None else Path(folder).expanduser()
        self.sink = checked_sink(sink, where=self.where)
        options: dict[str, Any] = {
            "items": items,
            "bytes": bytes,
            "batch": batch,
            "within": within,
            "timeout": timeout,
        }
        options |= {"flush": flush, "retry": retry or Retry(attempts=5), "whole": whole}
        self.options = checked_options(options, where=self.where)
        for leaf in self.sink.leaves() if isinstance(self.sink, SinkLike) else ():
            rule = "a sink in a chain behind a spool names its database"
            advice = "Give it url=..., or put it behind the spool by itself, without a chain"
            self._check_database(getattr(leaf, "target", None), rule, advice)
        self.models = self._checked_models(models)
        self._stack = AsyncExitStack()
        self._live: LiveSpool | None = None

    def refuse(self, rule: str, got: str, advice: str = "") -> NoReturn:
        """Raise the SpoolRefused that names this spool, where it was written, the rule and what came."""
        raise SpoolRefused(what="Spool", where=self.where, rule=rule, got=got, advice=advice)

    def at(self, url: str) -> Spool[T_contra]:
        """The spool, whose sink writes to the database at the URL where it can be bound to one and names none."""
        if not isinstance(self.sink, Bound) or self.sink.url is not None:
            return self
        bound = copy.copy(self)
        bound.sink = self.sink.bound_to(url)
        return bound

    def opened(
        self,
        *,
        name: str = "",
        folder: Path | None = None,
        owner: str = "",
        dead_letters: DeadLetters | None = None,
        flush: float | None = None,
        clock: Clock | None = None,
    ) -> LiveSpool:
        """The spool as an async context manager: open while it is entered. See LiveSpool.

        `name` and `folder` are for a spool that says none. `owner` is the application's ledger: files that belong to
        another one are left alone. `flush` is instead of the spool's own, and `clock` instead of the host's.
        """
        self._check_database(
            self.sink, "outside of an application its sink names its database", "Give it url=..."
        )
        named = self.name or name
        if not named.strip():
            self.refuse(
                "a spool outside of an application has a name, by which the next process finds what this one left",
                "it has none",
                'Write Spool(..., name="orders")',
            )
        return LiveSpool(
            self.sink,
            name=named,
            folder=(self.folder or folder or self._users_own()).absolute() / folder_name(named),
            options=self.options,
            models=self.models,
            owner=owner,
            dead_letters=dead_letters,
            flush=flush,
            clock=clock,
        )

    # The steps of a part. What is written is accepted at once; a run that fails takes nothing back.

    acknowledges = True

    async def open(self, part: Part) -> None:
        """Begin a part: with the application's open spool, or one of its own."""
        await super().open(part)
        self._stack = AsyncExitStack()
        spools = open_spools.get()
        if spools is not None:
            self._live = await spools.live(self, f"{part.flow}.{part.sink}")
        else:
            self._live = await self._stack.enter_async_context(self.opened())

    async def write(self, items: Sequence[T_contra], /) -> None:
        """Return when the items are on the disk; see LiveSpool.accept."""
        assert self._live is not None
        part = self.part
        await self._live.accept(items, origin=Origin(part.flow, part.run, part.sink))
        self.items += len(items)

    async def prepare(self) -> Receipt:
        """Tell how much was accepted; a spool of the run's own is closed."""
        live = self._live
        assert live is not None
        await self._stack.aclose()
        return Receipt(
            self.part, self.items, {"spool": live.name, "folder": str(live.folder), "wait": live.waiting}
        )

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        """A line that says how much was accepted, and how much of it, or of others, waited then."""
        if not receipts:
            return []
        data, items = receipts[-1].data, sum(receipt.items for receipt in receipts)
        waits = f", {data['wait']:,} wait in {data['folder']}" if data["wait"] else ""
        return [f"spool {data['spool']}: {counted(items, 'item')} accepted{waits}"]

    async def abort(self) -> None:
        """Close a spool of the run's own; what was accepted is written all the same, now or by whoever opens it next."""
        await self._stack.aclose()

    async def sweep(self, live: Collection[Part]) -> None:
        """Nothing is left behind but what is still to be written."""

    def _users_own(self) -> Path:
        home = state_home()
        if home is None:
            self.refuse(
                "a spool lies in a folder that its user owns, by default below the home",
                "this user has no home",
                "Give it folder=..., or set XDG_STATE_HOME",
            )
        return home / "spool"

    def _check_database(self, target: object, rule: str, advice: str) -> None:
        if isinstance(target, Bound) and target.url is None:
            self.refuse(rule, f"got a {type(target).__name__} without url", advice)

    def _checked_models(self, models: Iterable[type]) -> tuple[type, ...]:
        given = tuple(models)
        for one in given:
            if not is_model(one):
                self.refuse("models are classes of Pydantic models or dataclasses", f"got {one!r:.80}")
        return tuple(dict.fromkeys((*given, *filter(is_model, _taken_by(self.sink)))))


def _taken_by(sink: Any) -> Iterable[Any]:
    """The classes that the annotations of a sink name."""
    if isinstance(sink, SinkLike):
        taken = [leaf.takes for leaf in (sink, *sink.leaves())]
    else:
        taken = [item_of(signature_of(sink.write).takes)]
    for annotation in taken:
        for member in members_of(annotation):
            yield class_of(member)
