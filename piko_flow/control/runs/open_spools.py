"""The spools of an application: opened once for all its runs, and closed when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from piko_flow.connectors.spool import LiveSpool, Spool, SpooledLetter, SpoolRefused
from piko_flow.control.dead_letters.dead_letters import record_of
from piko_flow.control.dead_letters.letter_files import LetterFiles
from piko_flow.control.dead_letters.replaying import BEHIND
from piko_flow.control.params.redaction import NOTHING_HIDDEN, Redaction
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.store.records import DeadLetterRecord

KeepLetters = Callable[[Sequence[DeadLetterRecord]], Awaitable[None]]


@dataclass(frozen=True)
class SpoolPlace:
    """Where the spools of an application lie, what they belong to, and how they end.

    `folder` holds those that name no folder of their own; None is the user's own. `ledger` is the URL of the store
    without password: files that another ledger's application has left are left alone. `database` is that with password,
    to which sinks write that can and name no other. `flush` is how many seconds a spool may take at the end to write
    what it holds, where its own are more.
    """

    folder: Path | None = None
    ledger: str = ""
    database: str = field(default="", repr=False)
    flush: float = 60.0


class Spools:
    """Open spools by name, each opened when it is first asked for; an async context manager that closes all of them.

    Belongs to the loop it is entered in. Spools outlive the run that opens them, so they work in the context in which
    this was made. Dead letters go to `keep`, in the name of the run that wrote the item, without
    what the redaction of its flow hides; without `keep` they stay in the spool.
    """

    def __init__(
        self,
        place: SpoolPlace,
        *,
        keep: KeepLetters | None = None,
        files: LetterFiles | None = None,
        redaction: Callable[[str], Redaction] = lambda flow: NOTHING_HIDDEN,
    ) -> None:
        self._place, self._keep, self._files, self._redaction = place, keep, files, redaction
        self._opening = asyncio.Lock()
        self._open: dict[str, tuple[Spool[Any], LiveSpool]] = {}
        self._closed = False
        self._context = copy_context()

    @property
    def opened(self) -> dict[str, LiveSpool]:
        """Those that are open now, by name."""
        return {name: live for name, (_, live) in self._open.items()} if not self._closed else {}

    async def live(self, spool: Spool[Any], name: str) -> LiveSpool:
        """The open spool of this name, opened now if it is not yet.

        Raises SpoolRefused where another spool has the name, SpoolUnavailable where its folder cannot be used.
        """
        named = spool.name or name
        async with self._opening:
            if named not in self._open:
                self._open[named] = spool, await self._opened(spool, named, sink=name)
            first, live = self._open[named]
        if first.where != spool.where:
            raise SpoolRefused(
                what=f"Spool {named!r}",
                where=spool.where,
                rule="a name belongs to one spool",
                got=f"the spool at {first.where} has it",
            )
        return live

    async def __aenter__(self) -> Spools:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all side by side. Raises the first error that ended one of them before."""
        async with self._opening:
            self._closed = True
            endings = (live.__aexit__(None, None, None) for _, live in self._open.values())
            ends = await asyncio.gather(*endings, return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _opened(self, spool: Spool[Any], name: str, *, sink: str) -> LiveSpool:
        if self._closed:
            raise RuntimeError(f"the spool {name!r} cannot be opened: the application ends")
        at_home = spool.at(self._place.database) if self._place.database else spool
        live = at_home.opened(
            name=name,
            folder=self._place.folder,
            owner=self._place.ledger,
            dead_letters=_Taker(sink, self._stored) if self._keep is not None else None,
            flush=min(spool.options.flush, self._place.flush),
        )
        opening = asyncio.create_task(
            live.__aenter__(), name=f"open spool {name}", context=self._context.copy()
        )
        return await opening

    async def _stored(self, sink: str, letters: Sequence[SpooledLetter]) -> None:
        assert self._keep is not None

        def made() -> list[DeadLetterRecord]:
            return [self._record(sink, letter) for letter in letters]

        await self._keep(made() if self._files is None else await asyncio.to_thread(made))

    def _record(self, sink: str, letter: SpooledLetter) -> DeadLetterRecord:
        """A letter whose item was written by a stage belongs to that, any other to the sink it was emitted to.

        Its stage names also the one behind the spool, where others have made the item of what was accepted.
        """
        place = letter.stage or sink
        failed = DeadLetter(
            stage=place + BEHIND + letter.behind if letter.behind else place,
            where="",
            item=letter.payload,
            error=letter.error,
            error_type=letter.error_type,
        )
        record = record_of(
            letter.flow,
            failed,
            redaction=self._redaction(letter.flow),
            files=self._files,
            sink="" if letter.stage else sink,
        )
        run = int(letter.run) if letter.run.isdecimal() else 0
        return replace(record, run=run, item_key=letter.key or None)


class _Taker:
    """Takes the dead letters of one spool."""

    def __init__(self, sink: str, store: Callable[[str, Sequence[SpooledLetter]], Awaitable[None]]) -> None:
        self._sink, self._store = sink, store

    async def take(self, letters: Sequence[SpooledLetter], /) -> None:
        await self._store(self._sink, letters)
