"""A sink that adds entries to a Redis stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final, NoReturn

from piko_flow.connectors.json_path import at_path
from piko_flow.connectors.redis_entries import as_fields, as_json, flat_text
from piko_flow.connectors.redis_errors import EntriesGone, RedisFailed
from piko_flow.connectors.redis_scripts import DROP, MOVE, STAGE, SWEEP
from piko_flow.connectors.redis_server import RETRY, TIMEOUT, RedisClient, checked_server
from piko_flow.counting import whole_number
from piko_flow.dataflow.graph.function import misfit
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.stages.sink import Part, Receipt, SinkTarget
from piko_flow.dataflow.stages.stage_options import Seconds
from piko_flow.errors import ItemRejected, PipelineError
from piko_flow.known_names import unknown_options_refused
from piko_flow.retry import LONGEST_TIME, Retry, seconds
from piko_flow.tasks import TaskGroup

KEPT: Final = 7 * 24 * 3600 * 1000  # milliseconds that parts, and the counts of what was moved, are kept
HELD: Final = 60_000  # milliseconds that a run counts as alive after its last sign
SIGNS: Final = 15.0  # seconds between two signs
PIECE: Final = 1000  # items that are moved at once: about 3 ms of the server's time
MOVED: Final = 4 * 1024 * 1024  # bytes that are moved at once, about, where items are large
DAY: Final = timedelta(days=1)


@unknown_options_refused
class RedisStreamSink(SinkTarget[object]):
    """Entries of a Redis stream, one for each item; needs the extra `redis` and Redis 7 or later.

    An item is a dict, a Pydantic model or a dataclass. It is written as JSON in the entry's `field` (then any other
    JSON value may be an item too), or with `field=None` as one field for each of its own, as text: those that are None
    are left out, what has no text without loss (lists, bytes) is rejected.

    Nothing is seen in the stream before the run commits: until then the entries wait on the server in a list beside
    it, and the commit moves them, up to 1,000 at a time, each once, whoever is killed or cut off meanwhile:
    effectively once. What a killed run has left is removed by the next run that ends, and by the server after seven
    days. Of a list that is not whole (the server lost it) nothing is moved: EntriesGone. The last item's entry may
    follow others that were added meanwhile; the order of a part's entries is that of its items, and parts follow in
    the order of their units.

    `key` is the path of a field, or a function of the item, that gives a text or a number: of two items with one key
    the later one is left out, in one run and in all that commit within `remember` (a day), which costs the server a
    key each. `maxlen` trims the stream to about so many entries. Applications with ledgers of their own that write one
    stream give each an `owner`, so that none removes what another has prepared.

    Commands are sent again as `retry` says when the connection broke; `timeout` bounds each. Raises RedisFailed;
    passwords are never shown. One server with its replicas, not a cluster: its scripts use several keys.
    """

    def __init__(
        self,
        url: str,
        stream: str,
        *,
        field: str | None = "json",
        key: str | Callable[[Any], object] | None = None,
        remember: timedelta = DAY,
        maxlen: int | None = None,
        owner: str = "",
        retry: Retry | None = RETRY,
        timeout: Seconds = TIMEOUT,
    ) -> None:
        self.where, self.what = str(caller()), f"RedisStreamSink {stream!r:.80}"
        self.stream, self.field, self.key, self.maxlen, self.owner = stream, field, key, maxlen, owner
        self.server = checked_server(
            url, self._refuse, what=self.what, where=self.where, retry=retry, timeout=timeout
        )
        self._check(remember)
        self.remembered = int(remember.total_seconds() * 1000)
        self._length = self._bytes = 0
        self._open: AsyncExitStack | None = None

    def _check(self, remember: Any) -> None:
        for option, value in (("stream", self.stream), ("field", self.field)):
            if not (isinstance(value, str) and value) and not (option == "field" and value is None):
                self._refuse(f"{option} must be a name", f"got {value!r:.80}")
        if not isinstance(self.owner, str):
            self._refuse("owner must be a text", f"got {self.owner!r:.80}")
        if callable(self.key):
            if reason := misfit(self.key, 1):
                self._refuse("the function for key is called with one item", reason)
        elif self.key is not None and not (isinstance(self.key, str) and self.key):
            self._refuse("key must be the path of a field, or a function", f"got {self.key!r:.80}")
        if not isinstance(remember, timedelta) or not 0.001 <= seconds(remember) <= LONGEST_TIME:
            self._refuse("remember must be a timedelta above 0", f"got {remember!r:.80}")
        if self.maxlen is not None:
            whole_number("maxlen", self.maxlen, self._refuse)

    async def open(self, part: Part) -> None:
        """Begin a part; a list that an earlier try of the same part has left is removed."""
        await super().open(part)
        self._length = self._bytes = 0
        async with AsyncExitStack() as opened:
            self._client = await opened.enter_async_context(self.server.open())
            await self._client.script(DROP, self._keys(part), [])
            self._open = opened.pop_all()

    async def write(self, items: Sequence[object], /) -> None:
        """Add the items to the part's list, all or none. Raises ItemRejected, EntriesGone and RedisFailed."""
        if self._open is None:
            raise RuntimeError(f"{self.what} has no open part")
        encode = as_fields if self.field is None else as_json
        listed: list[bytes | str] = []
        for index, item in enumerate(items):
            if self.key is not None:
                listed.append(self._key_of(index, item))
            listed.append(encode(index, item))
        told = await self._client.script(
            STAGE, self._keys(self.part), [self._length, self.part.run, KEPT, *listed]
        )
        # A list that is as long as this one will be is this one: the server did it, and its answer was lost.
        if told != self._length + len(listed):
            raise EntriesGone(self._name(self.part), f"it has {told:,} elements instead of {self._length:,}")
        self._length += len(listed)
        self._bytes += sum(map(len, listed))
        self.items += len(items)

    async def prepare(self) -> Receipt:
        """Tell where the items wait; they last as what is written to the server does."""
        await self._close()
        return Receipt(self.part, self.items, {"list": self._name(self.part), "bytes": self._bytes})

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        """Move the parts into the stream; what an earlier try has moved is not moved again.

        Raises EntriesGone, before anything of that part is moved, and RedisFailed.
        """
        async with self.server.open() as client:
            for receipt in sorted(receipts, key=lambda receipt: receipt.part.number):
                await self._move(client, receipt.data["list"], receipt.items, receipt.data["bytes"])
        items = sum(receipt.items for receipt in receipts)
        return [f"{self.stream}: {items:,} entries"] if receipts else []

    async def abort(self) -> None:
        """Remove the part's list."""
        if hasattr(self, "part"):
            await self._close()
            async with self.server.open() as client:
                await client.script(DROP, self._keys(self.part), [])

    async def lock(self, run: str) -> Any:
        """Keep sweeps of other runs from the parts of the run while the block is open; a minute after its death."""
        return self._held(run)

    async def sweep(self, live: Collection[Part]) -> None:
        """Remove the lists that belong to no live part or run."""
        keep, known = {self._name(part) for part in live}, {part.run for part in live}
        async with self.server.open() as client:
            parts = await client.ask("list the parts", lambda: client.redis.hgetall(self._parts))
            for name, run in ((name.decode(), run.decode()) for name, run in parts.items()):
                if name not in keep:
                    # Of runs that are known, the live parts are all that is needed.
                    script, held = (DROP, []) if run in known else (SWEEP, [self._hold(run)])
                    await client.script(script, [name, self._parts, *held], [])

    async def _move(self, client: RedisClient, name: str, items: int, size: int) -> None:
        piece = max(min(PIECE, MOVED * items // max(size, 1)), 1)
        keys = [name, self.stream, self._parts, f"{name}~moved"]
        facts = [self.field or "", int(self.key is not None), f"{self.stream}~key~", self.remembered]
        while True:
            moved, left = await client.script(MOVE, keys, [items, piece, *facts, self.maxlen or 0, KEPT])
            if moved + left != items:
                raise EntriesGone(name, f"{moved + left:,} of its {items:,} items are there")
            if not left:
                return

    @asynccontextmanager
    async def _held(self, run: str) -> AsyncIterator[None]:
        async with self.server.open() as client, TaskGroup() as tasks:
            sign = self._hold(run)
            await client.ask("hold a run", lambda: client.redis.set(sign, "1", px=HELD))
            giving = tasks.create_task(self._give_signs(client, sign), name="signs of a run")
            try:
                yield
            finally:
                tasks.dismiss(giving)
                with suppress(RedisFailed):  # it expires by itself
                    await client.ask("let go of a run", lambda: client.redis.delete(sign))

    async def _give_signs(self, client: RedisClient, sign: str) -> None:
        while True:
            await asyncio.sleep(SIGNS)
            with suppress(RedisFailed):  # the commit finds out whether anything was removed meanwhile
                await client.ask("hold a run", lambda: client.redis.set(sign, "1", px=HELD))

    def _key_of(self, index: int, item: object) -> str:
        try:
            found = self.key(item) if callable(self.key) else at_path(item, self.key or "")
        except ValueError as error:
            raise ItemRejected(index, f"it has no key: {error}") from None
        if found is None or found == "":
            raise ItemRejected(index, "its key must be a text or a number, got none")
        try:
            return flat_text("key", found)
        except TypeError as error:
            raise ItemRejected(index, str(error)) from None

    @property
    def _parts(self) -> str:
        return f"{self.stream}~{self.owner}~parts"

    def _hold(self, run: str) -> str:
        return f"{self.stream}~{self.owner}~run~{run}"

    def _name(self, part: Part) -> str:
        return f"{self.stream}~{self.owner}~part~{part.sink}~{part.token}"

    def _keys(self, part: Part) -> list[str]:
        return [self._name(part), self._parts]

    async def _close(self) -> None:
        if self._open is not None:
            opened, self._open = self._open, None
            await opened.aclose()

    def _refuse(self, rule: str, got: str, advice: str = "") -> NoReturn:
        raise PipelineError(what=self.what, where=self.where, rule=rule, got=got, advice=advice)

    def __repr__(self) -> str:
        return f"RedisStreamSink({self.server.shown!r}, {self.stream!r})"
