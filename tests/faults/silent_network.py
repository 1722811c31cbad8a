"""A network between a process and a database server that falls silent at a chosen statement, and stays open.

What is lost is never refused: both ends hold connections on which nothing comes any more, as where a switch fails.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy.engine import make_url

TABLE = re.compile(
    r"\b(scheduler_leader|flow_state|run_id_block|job_run_live|job_run|scheduled_job|replica)\b"
)
COMMANDS = {b"\x03"}  # COM_QUERY of MySQL's protocol
TLS_WISH = bytes(8)
CHUNK = 1 << 16  # bytes


@dataclass
class Spoken:
    """The statements of one connection, read from what its client sends: MySQL's protocol or PostgreSQL's."""

    postgres: bool
    begun: bool = False
    rest: bytes = b""
    greeted: bool = False
    prepared: dict[bytes, str] = field(default_factory=dict)

    def kinds(self, data: bytes) -> list[str]:
        """What the bytes ask for inside of transactions, as verb and table, or COMMIT."""
        self.rest += data
        texts = self._of_postgres() if self.postgres else self._of_mysql()
        return [kind for kind in map(self._kind, texts) if kind]

    def _of_mysql(self) -> Iterator[str]:
        while len(self.rest) >= 4 and len(self.rest) >= 4 + (size := int.from_bytes(self.rest[:3], "little")):
            number, packet, self.rest = self.rest[3], self.rest[4 : 4 + size], self.rest[4 + size :]
            if number == 0 and packet[:1] in COMMANDS:
                yield packet[1:].decode(errors="replace")

    def _of_postgres(self) -> Iterator[str]:
        if not self.greeted:  # the first message has no letter, and before it may come a wish for TLS
            size = int.from_bytes(self.rest[:4], "big")
            self.greeted, self.rest = size != len(TLS_WISH), self.rest[size:]
        while len(self.rest) >= 5 and len(self.rest) > (size := int.from_bytes(self.rest[1:5], "big")):
            letter, body, self.rest = self.rest[:1], self.rest[5 : 1 + size], self.rest[1 + size :]
            if letter == b"Q":
                yield body.rstrip(b"\0").decode()
            elif letter == b"P":
                name, text, _ = body.split(b"\0", 2)
                self.prepared[name] = text.decode()
            elif letter == b"B":
                yield self.prepared.get(body.split(b"\0", 2)[1], "")

    def _kind(self, text: str) -> str:
        verb = text.split(None, 1)[0].upper().rstrip(";") if text.strip() else ""
        if verb in ("BEGIN", "START"):
            self.begun = True
        if not self.begun:
            return ""
        table = found[1] if (found := TABLE.search(text)) else ""
        if verb in ("COMMIT", "ROLLBACK"):
            self.begun = False
            return verb
        locks = " and lock" if "FOR UPDATE" in text else ""
        return f"{verb} {table}{locks}" if table else ""


class SilentNetwork:
    """Passes on what comes until a transaction asks for something of the armed kind.

    `cut` is called then, and by what it gives the request is passed on or lost; `fall_silent` loses all that
    comes afterwards, in both directions and on new connections too.
    """

    def __init__(self, url: str) -> None:
        self._server = make_url(url)
        self._cut: Callable[[], bool] | None = None
        self._armed = ""
        self.silent = False
        self.seen: set[str] = set()
        self.reached = asyncio.Event()
        self.url = ""
        self._connections: set[asyncio.Task[None]] = set()

    def arm(self, kind: str, cut: Callable[[], bool]) -> None:
        """At the next request of this kind call `cut`, which tells whether the request still passes."""
        self._armed, self._cut = kind, cut

    def fall_silent(self) -> None:
        """From now on nothing comes through."""
        self.silent = True

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[SilentNetwork]:
        """Listen for the duration of the block, at `url`."""
        listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        self.url = self._server.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        try:
            yield self
        finally:
            listening.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await asyncio.sleep(0)  # the loop closes what was aborted at its next turn

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._pass(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until both ends have closed it."""
        spoken, ends = Spoken(self._server.get_backend_name() == "postgresql"), [writer]
        try:
            to_reader, to_writer = await asyncio.open_connection(self._server.host, self._server.port)
            ends.append(to_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, to_writer, spoken))
                group.create_task(self._pump(to_reader, writer, None))
        finally:
            for end in ends:
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spoken: Spoken | None
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                passes = not self.silent
                if passes and spoken is not None:
                    passes = self._judge(spoken.kinds(data))
                if passes:
                    writer.write(data)
                    await writer.drain()
            if not self.silent:  # who is cut off does not even hear that the other has gone
                writer.close()

    def _judge(self, kinds: list[str]) -> bool:
        self.seen.update(kinds)
        if self._cut is None or self._armed not in kinds:
            return True
        cut, self._cut = self._cut, None
        passes = cut()
        self.reached.set()
        return passes
