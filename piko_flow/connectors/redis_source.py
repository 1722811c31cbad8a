"""The entries of a Redis stream as a source that is read in slices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Generic, TypeVar, overload

from typing_extensions import TypedDict, Unpack

from piko_flow.connectors.redis_entries import StreamEntry
from piko_flow.connectors.redis_reader import Lost, RedisReader, Start
from piko_flow.connectors.redis_server import RETRY, TIMEOUT, checked_server
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage_options import Seconds, positive_seconds, whole
from piko_flow.retry import Retry

Value = TypeVar("Value", covariant=True)
V = TypeVar("V")


class StreamReadOptions(TypedDict, total=False):
    """The options of every RedisStreamSource, as users give them."""

    field: str | None
    start: Start
    batch: int
    wait: Seconds | None
    max_items: int | None
    max_age: Seconds | None
    lost: Lost
    retry: Retry | None
    timeout: Seconds
    name: str | None


class RedisStreamSource(Source[Value], Generic[Value]):
    """The entries of a Redis stream, oldest first, in slices; needs the extra `redis` and Redis 7 or later.

    Each item is the JSON object in the entry's `field`, as a dict; `of=list` (or str, ...) takes another kind of value,
    `of=object` any. With `field=None` it is a dict of all fields, as text. With `of=StreamEntry` it is the entry
    itself, whatever it holds: so a stage of its own can decode it, under an `on_error`. Anything else is a BrokenEntry.

    A slice ends after `max_items` items or `max_age` seconds, or when `wait` seconds passed without another entry
    (0: when all have been read; None: never). The next begins behind the last item given: at the position that the
    report tells, and that an application keeps in its ledger, in the transaction in which the run ends. Without a
    position it begins with the `first` entry, or those that are `new` from now on (`start`). A stream that is not
    there is waited for.

    Entries that were removed (by MAXLEN, XTRIM, or with the stream itself) before they were read fail the run with
    EntriesLost; `lost="skip"` goes on with what is there and logs a warning. Entries deleted one by one while later
    and earlier ones stay are no loss. `batch` entries are asked for at once, and at most 16 MB. A connection that
    breaks is made anew as `retry` says; `timeout` bounds one command. RedisFailed tells what cannot be had; passwords
    are never shown. Cancelling, or the end of a slice, leaves entries that were asked for to the next one.
    """

    @overload
    def __init__(
        self: RedisStreamSource[dict[str, Any]],
        url: str,
        stream: str,
        /,
        **options: Unpack[StreamReadOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: RedisStreamSource[V],
        url: str,
        stream: str,
        /,
        *,
        of: type[V],
        **options: Unpack[StreamReadOptions],
    ) -> None: ...
    def __init__(
        self,
        url: str,
        stream: str,
        /,
        *,
        of: type[Any] = dict,
        field: str | None = "json",
        start: Start = "first",
        batch: int = 500,
        wait: Seconds | None = 5.0,
        max_items: int | None = 10_000,
        max_age: Seconds | None = 60.0,
        lost: Lost = "fail",
        retry: Retry | None = RETRY,
        timeout: Seconds = TIMEOUT,
        name: str | None = None,
    ) -> None:
        self._describe(name=name, fallback=stream if isinstance(stream, str) and stream else "stream")
        server = checked_server(
            url, self.refuse, what=self.title, where=str(self.origin), retry=retry, timeout=timeout
        )
        reader = RedisReader(
            server, stream, of, field, start, whole(self, "batch", batch), self._waited(wait), lost
        )
        self._check_reader(reader)
        if wait is None and max_age is None:
            self.refuse("a slice must end", "got wait=None and max_age=None", "Give one of them in seconds")
        super().__init__(reader, max_items=max_items, max_age=max_age, name=self.name)
        # A reader changes as it reads; what tells one pipeline from another is kept beside it.
        self._keep(reading=(stream, of, field, start))

    def gives(self, incoming: Any) -> Any:
        """The type of its items."""
        if self.items.field is None and self.items.of is dict:
            return dict[str, str]
        return dict[str, Any] if self.items.of is dict else self.items.of

    def _waited(self, wait: Any) -> float | None:
        if wait == 0 and not isinstance(wait, (bool, timedelta)):
            return 0.0
        return positive_seconds(self, "wait", wait)

    def _check_reader(self, reader: RedisReader) -> None:
        if not isinstance(reader.stream, str) or not reader.stream:
            self.refuse("stream must be the name of a stream", f"got {reader.stream!r:.80}")
        if reader.field is not None and (not isinstance(reader.field, str) or not reader.field):
            self.refuse(
                "field must be the name of the field with the JSON, or None", f"got {reader.field!r:.80}"
            )
        if not isinstance(reader.of, type):
            self.refuse("of must be a class such as dict, list or StreamEntry", f"got {reader.of!r:.80}")
        if reader.field is None and reader.of not in (dict, StreamEntry):
            self.refuse("with field=None an item is a dict or a StreamEntry", f"got of={reader.of.__name__}")
        for option, value, known in (
            ("start", reader.start, ("first", "new")),
            ("lost", reader.lost, ("fail", "skip")),
        ):
            if value not in known:
                self.refuse(f'{option} must be "{known[0]}" or "{known[1]}"', f"got {value!r:.80}")
