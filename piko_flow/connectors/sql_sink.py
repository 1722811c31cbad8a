"""A sink that writes rows to a table of a database: with the end of its run, or to another database by itself."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeAlias, TypeVar, overload

from typing_extensions import TypedDict, Unpack

from piko_flow.connectors.sql_connection import DataRefused, SqlConnection, connect, shown
from piko_flow.connectors.sql_errors import REASON, SqlRefused
from piko_flow.connectors.sql_facts import look_at, positional, span_removal
from piko_flow.connectors.sql_ledger_part import LedgerPart, check_count, dialect_of, move
from piko_flow.connectors.sql_rows import RowMaker, Rows, Span, TableFacts
from piko_flow.connectors.sql_table import Mode, SqlTable, make_table
from piko_flow.connectors.sql_texts import TEXTS
from piko_flow.connectors.sql_url import place, read_url
from piko_flow.counting import counted, whole_number
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.stages.sink import Part, Receipt, SinkTarget, Transaction
from piko_flow.errors import ItemRejected, describe_error
from piko_flow.known_names import unknown_options_refused

if TYPE_CHECKING:
    from sqlalchemy import URL

M = TypeVar("M")
Row: TypeAlias = M | Mapping[str, Any] | tuple[Any, ...]


class SqlSinkOptions(TypedDict, total=False):
    """The options of every SqlSink, as users give them."""

    table: str | None
    columns: Sequence[str] | None
    key: str | Sequence[str] | None
    mode: Mode | None
    window_column: str | None
    url: str | None
    in_memory: int
    max_rows: int


@unknown_options_refused
class SqlSink(SinkTarget[Row[M]], Generic[M]):
    """Rows of one table, from models, dataclasses, dicts, or tuples in the order of the columns (the fastest).

    `model` is the class of the items: SQLModel (its table and columns), Pydantic or a dataclass (with `table=`).
    `columns=` names the columns instead, or fewer of them. `mode` is "insert"; "upsert" where a `key` is given: a row
    replaces the one under its key, and of two in one run the later one wins; or "replace_window": the rows whose
    `window_column` lies in the run's window are removed, and these come in their place. For "upsert" the database
    needs a unique index over the key; in MariaDB and MySQL another one, by which it would replace rows of other keys,
    is refused.

    Without `url`, or with that of the ledger, rows commit in the transaction in which the run ends: exactly once.
    They wait in memory, a part up to `in_memory` of them, beyond that in the ledger's database. On SQLite a run of
    more than `max_rows` fails. A row that the database refuses fails the run, and none is written.

    With the `url` of another database each batch is written in a transaction of its own: by key effectively once,
    without one at least once. A row that the database refuses is named, so `on_error` of the Sink settles it alone.
    "replace_window" holds at most `max_rows` rows and swaps them in one transaction at the commit: effectively once.

    Instants are written in UTC, those without zone count as UTC. A value without a lossless form is refused.
    """

    @overload
    def __init__(self, model: type[M], /, **options: Unpack[SqlSinkOptions]) -> None: ...
    @overload
    def __init__(self: SqlSink[Mapping[str, Any]], /, **options: Unpack[SqlSinkOptions]) -> None: ...
    def __init__(
        self,
        model: type[M] | None = None,
        /,
        *,
        table: str | None = None,
        columns: Sequence[str] | None = None,
        key: str | Sequence[str] | None = None,
        mode: Mode | None = None,
        window_column: str | None = None,
        url: str | None = None,
        in_memory: int = 20_000,
        max_rows: int = 200_000,
    ) -> None:
        self.where = str(caller())
        self.name = table or getattr(model, "__tablename__", None) or getattr(model, "__name__", "rows")
        self.table = make_table(
            model,
            table=table,
            columns=columns,
            key=key,
            mode=mode,
            window_column=window_column,
            refuse=self.refuse,
        )
        for option, value in (("in_memory", in_memory), ("max_rows", max_rows)):
            whole_number(option, value, self.refuse)
        self.in_memory, self.max_rows = in_memory, max_rows
        self.url: URL | None = None if url is None else self._read(url)
        self._part: LedgerPart | DirectPart | HeldPart | None = None
        self._alone = self._lasting = False

    def refuse(self, rule: str, got: str, advice: str = "") -> NoReturn:
        """Raise the SqlRefused that names this sink, where it was written, the rule and what came."""
        raise SqlRefused(what=f"SqlSink {self.name!r}", where=self.where, rule=rule, got=got, advice=advice)

    def bound_to(self, url: str) -> SqlSink[M]:
        """A copy that writes by itself to the database at the URL, also where that is the ledger's: batch by batch.

        For sinks that are written to outside of a run's last transaction.
        """
        bound = copy.copy(self)
        bound.url, bound._alone = self._read(url), True
        return bound

    @property
    def durable(self) -> bool:  # type: ignore[override]  # a part may find out only while it is written
        """Whether what was prepared outlives this process: what was staged, and what is written already."""
        return self._lasting or (self.url is not None and not self.replaces)

    @property
    def acknowledges(self) -> bool:  # type: ignore[override]  # it depends on the mode
        """Whether each batch is a transaction of its own."""
        return self.url is not None and not self.replaces

    @property
    def replaces(self) -> bool:  # type: ignore[override]  # it depends on the mode
        """Whether a run's rows take the place of all that an earlier run wrote for the same window."""
        return self.table.mode == "replace_window"

    def row_fields(self, model: type) -> Sequence[str]:
        """The columns, where they are all of the model's fields and SQLAlchemy has no say in how they are written."""
        fields = getattr(model, "model_fields", {})
        return (
            self.table.attributes
            if set(self.table.attributes) == set(fields) and not self.table.types
            else ()
        )

    async def open(self, part: Part) -> None:
        """Begin a part; connects where it writes by itself.

        Raises SqlRefused where there is no place to write to, DatabaseFailed when it cannot be reached, NoUniqueKey
        where the table's indexes do not fit an upsert.
        """
        await super().open(part)
        self._lasting = False
        span = self._span(part)
        if self.staging is not None:
            self._check_ledger(self.staging.ledger)
            most = self.max_rows if dialect_of(self.staging.ledger) == "sqlite" else None
            self._part = LedgerPart(
                self.table, part, self.staging, in_memory=self.in_memory, max_rows=most, span=span
            )
        elif self.url is None:
            self.refuse(
                "without url it writes to the database of the application that runs it",
                "this run belongs to none",
                "Give url=, or run it as a flow of an App",
            )
        elif span is not None:
            self._part = HeldPart(self.table, part, self.url, max_rows=self.max_rows, span=span)
        else:
            self._part = DirectPart(self.table, self.url)
            await self._part.open()

    async def write(self, items: Sequence[Row[M]], /) -> None:
        """Take the items, in order. Raises ItemRejected for one that cannot be written, with its reason."""
        assert self._part is not None
        await self._part.write(items)
        self.items += len(items)

    async def prepare(self) -> Receipt:
        """Give the receipt, with the rows that are held."""
        if isinstance(self._part, LedgerPart):
            receipt, self._lasting = await self._part.receipt()
            return receipt
        if isinstance(self._part, HeldPart):
            return self._part.receipt()
        await self._close()
        return Receipt(self.part, self.items)

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        """Swap the rows of a window; what was written batch by batch is there already."""
        if self.url is None:
            self.refuse("without url it commits in the transaction in which a run ends", "there is none")
        if self.replaces and receipts:
            await swap(self.table, self.url, receipts, max_rows=self.max_rows)
        rows = sum(receipt.items for receipt in receipts)
        return [f"{self.table.name} at {shown(self.url)}: {counted(rows, 'row')}"]

    def joins(self, ledger: str) -> bool:
        """Whether it writes to the database with this URL, in the transaction in which the run ends."""
        if self._alone:
            return False
        return self.url is None or place(self.url) == place(self._read(ledger))

    async def commit_in(self, transaction: Transaction, receipts: Sequence[Receipt]) -> None:
        """Write the rows of all parts within the transaction."""
        await move(self.table, transaction, receipts, max_rows=self.max_rows)

    async def abort(self) -> None:
        """Forget the rows that are held; what was written batch by batch stays."""
        await self._close()

    async def _close(self) -> None:
        part, self._part = self._part, None
        if isinstance(part, DirectPart):
            await part.close()

    def _span(self, part: Part) -> Span | None:
        if not self.replaces:
            return None
        if part.window_start is None or part.window_end is None:
            self.refuse("replace_window needs a run that covers a window", "this one covers none")
        return part.window_start, part.window_end

    def _check_ledger(self, ledger: str) -> None:
        if dialect_of(ledger) == "memory":
            self.refuse(
                "without url it writes to the application's database",
                "that one is in memory and has no tables",
                "Give the application a SQLite file, or this sink a url=",
            )

    def _read(self, url: str) -> URL:
        return read_url(url, what=f"SqlSink {self.name!r}", where=self.where, refuse=self.refuse)


class DirectPart:
    """Writes each batch in a transaction of its own, over one connection that is made anew after a failure."""

    def __init__(self, table: SqlTable, url: URL) -> None:
        self._table, self._url = table, url
        self._maker = RowMaker(table, url.get_backend_name())
        self._text = TEXTS[url.get_backend_name()].write(table.name, table.columns, table.key)
        self._what = f"write to table {table.name}"
        self._connection: SqlConnection | None = None
        self._facts = TableFacts()

    async def open(self) -> None:
        """Connect, so that what cannot work is told before anything is read."""
        await self._connected()

    async def write(self, items: Sequence[Any]) -> None:
        """Write all of the items, or none and raise. ItemRejected names the first whose values are refused."""
        rows = self._maker.rows(items)
        connection = await self._connected()
        rows = self._facts.fitted(rows)
        try:
            await connection.write(self._what, self._text, rows)
        except DataRefused as refused:
            index, error = await self._poison(connection, rows, refused.error)
            raise ItemRejected(index, describe_error(error, REASON)) from error

    async def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def _connected(self) -> SqlConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await connect(self._url)
            self._facts = await facts_of(self._table, self._connection)
        return self._connection

    async def _poison(
        self, connection: SqlConnection, rows: Rows, error: BaseException
    ) -> tuple[int, BaseException]:
        """The first row without which those before it can be written, and what is said of it, found by halving.

        Always rows from the first one on are tried, because a row may be refused for the sake of one before it.
        """
        fine, bad = 0, len(rows)
        while bad - fine > 1:
            middle = (fine + bad) // 2
            said = await connection.tried(self._what, self._text, rows[:middle])
            if said is None:
                fine = middle
            else:
                bad, error = middle, said
        return bad - 1, error


class HeldPart:
    """Holds the rows of a window, to be swapped for what is there in one transaction at the commit."""

    def __init__(self, table: SqlTable, part: Part, url: URL, *, max_rows: int, span: Span) -> None:
        self._part, self._max_rows = part, max_rows
        self._maker = RowMaker(table, url.get_backend_name(), span=span)
        self._held: list[Sequence[Any]] = []

    async def write(self, items: Sequence[Any]) -> None:
        """Take the rows. Raises TooManyRows beyond `max_rows`."""
        rows = self._maker.rows(items)
        check_count(len(self._held) + len(rows), self._max_rows)
        self._held += rows

    def receipt(self) -> Receipt:
        """The receipt, which holds the rows."""
        return Receipt(self._part, len(self._held), {"rows": self._held})


async def swap(table: SqlTable, url: URL, receipts: Sequence[Receipt], *, max_rows: int) -> None:
    """Remove what the table has of the window and write these rows instead, in one transaction."""
    check_count(sum(receipt.items for receipt in receipts), max_rows)
    connection = await connect(url)
    try:
        facts = await facts_of(table, connection)
        ordered = sorted(receipts, key=lambda one: one.part.number)
        rows = facts.fitted([row for receipt in ordered for row in receipt.data["rows"]])
        text = TEXTS[connection.dialect].write(table.name, table.columns, table.key)
        first = span_removal(table, facts, receipts[0].part, connection.dialect)
        try:
            await connection.write(f"replace a window of table {table.name}", text, rows, first=first)
        except DataRefused as refused:
            raise connection.failed(
                f"replace a window of table {table.name}", refused.error
            ) from refused.error
    finally:
        await connection.close()


async def facts_of(table: SqlTable, connection: SqlConnection) -> TableFacts:
    """What the database tells of the table."""

    async def ask(text: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        return await connection.rows(
            f"look at table {table.name}", *positional(text, values, connection.dialect)
        )

    return await look_at(table, connection.dialect, ask)
