"""Notices as they reach an address and a program."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Flow, Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.notice_options import NoticeOptions
from piko_flow.control.notices import notice_delivery
from piko_flow.control.notices.notice_delivery import places
from piko_flow.control.notices.notice_post import NotDelivered
from tests.databases.plugin import leave_out
from tests.system.running_app import eventually, running

NOTICE = {"kind": "failed", "subject": "orders", "state": "begun"}


async def deliver(notice: dict[str, str], options: NoticeOptions) -> None:
    """Take the notice to the one place that the options name."""
    [place] = places(options)
    await place(notice)


class Chat:
    """An address that takes notices, and answers with a status."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.status, self.url = 200, ""


@pytest.fixture
def chat() -> Iterator[Chat]:
    found = Chat()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(found.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *values: Any) -> None:
            """Nothing is logged."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/s3cr3t"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


async def test_an_address_gets_the_notice_as_json(chat: Chat) -> None:
    await deliver(NOTICE, NoticeOptions(webhook=chat.url))
    assert chat.got == [("/hooks/s3cr3t", "application/json", NOTICE)]


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_an_address_that_refuses_is_told_without_its_path(chat: Chat, status: int) -> None:
    chat.status = status
    with pytest.raises(NotDelivered, match=f"127.0.0.1 answered {status}") as caught:
        await deliver(NOTICE, NoticeOptions(webhook=chat.url))
    assert "s3cr3t" not in str(caught.value)
    assert len(chat.got) == 1


async def test_an_address_that_is_not_there_is_told_without_its_path() -> None:
    with pytest.raises(NotDelivered, match="could not be reached") as caught:
        await deliver(NOTICE, NoticeOptions(webhook="http://127.0.0.1:1/s3cr3t"))
    assert "s3cr3t" not in str(caught.value)


@asynccontextmanager
async def answering(
    *pieces: bytes, drip: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """An address that says this whatever it is asked, then the last for ever or nothing more."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        with suppress(ConnectionError, asyncio.IncompleteReadError):  # who asks may leave at any moment
            await reader.readuntil(b"}")
            for piece in pieces:
                writer.write(piece)
            while drip:
                writer.write(drip)
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()
        ended.set()

    begun, ended = asyncio.Event(), asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/s3cr3t"
        if begun.is_set():  # else it was left while it connected
            await asyncio.wait_for(ended.wait(), 30)


@pytest.mark.parametrize("answer", [b"garbage of s3cr3t\r\n\r\n", b"HTTP/1.1 200" + b"x" * 70_000, b""])
async def test_an_address_that_does_not_speak_http_is_told_without_its_words(answer: bytes) -> None:
    async with answering(answer) as url:
        with pytest.raises(NotDelivered, match=r"127\.0\.0\.1") as caught:
            await deliver(NOTICE, NoticeOptions(webhook=url))
    assert "s3cr3t" not in str(caught.value)


async def test_an_answer_is_its_status_and_what_is_missing_after_it_does_no_harm() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nab") as url:
        await deliver(NOTICE, NoticeOptions(webhook=url))


@pytest.mark.parametrize("address", ["http://127.0.0.1/s3cr3t with\nlines", "http://[s3cr3t/", "s3cr3t"])
async def test_an_address_that_is_none_is_told_without_its_path(address: str) -> None:
    with pytest.raises(NotDelivered) as caught:
        await deliver(NOTICE, NoticeOptions(webhook=address))
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("begin", [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nA: "])
async def test_an_address_that_drips_is_left_in_time_and_so_is_its_connection(
    begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notice_delivery, "TIMEOUT", 0.3)
    async with answering(begin, drip=b"0") as url:  # which ends when the connection does
        with pytest.raises(NotDelivered, match=r"did not answer a notice within 0\.3 s"):
            await deliver(NOTICE, NoticeOptions(webhook=url))


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server shows that is trusted during the test."""
    if shutil.which("openssl") is None:
        leave_out("openssl")
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    )
    command = [*make.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=30)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


async def test_with_tls_it_is_the_same_and_who_is_not_trusted_gets_nothing(
    certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with answering(b"HTTP/1.1 204 No Content\r\n\r\n", tls=certified) as url:
        await deliver(NOTICE, NoticeOptions(webhook=url))
    monkeypatch.setattr(notice_delivery, "TIMEOUT", 0.5)
    async with answering(b"HTTP/1.1 2", drip=b"0", tls=certified) as url:
        with pytest.raises(NotDelivered, match="did not answer"):
            await deliver(NOTICE, NoticeOptions(webhook=url))
        monkeypatch.setattr(notice_delivery, "TIMEOUT", 60)
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(NotDelivered, match="CERTIFICATE_VERIFY_FAILED"):
            await deliver(NOTICE, NoticeOptions(webhook=url))


async def test_a_program_gets_the_notice_on_its_standard_input(tmp_path: Path) -> None:
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    await deliver(NOTICE, NoticeOptions(command=(sys.executable, "-c", code, str(tmp_path / "notice"))))
    assert json.loads((tmp_path / "notice").read_text()) == NOTICE


async def test_a_program_that_fails_hangs_or_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotDelivered, match="ended with 3"):
        await deliver(NOTICE, NoticeOptions(command=(sys.executable, "-c", "raise SystemExit(3)")))
    with pytest.raises(NotDelivered, match="could not be started"):
        await deliver(NOTICE, NoticeOptions(command=("/nowhere/at/all",)))
    monkeypatch.setattr(notice_delivery, "TIMEOUT", 0.2)
    with pytest.raises(NotDelivered, match="did not take"):
        await deliver(NOTICE, NoticeOptions(command=(sys.executable, "-c", "import signal; signal.pause()")))


async def test_an_application_tells_of_a_flow_that_fails_and_recovers(
    chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piko_flow.control.replica.replica_loops.EVERY", 0.1)
    registry: Registry[Flow] = Registry()
    broken = [True]

    async def works(run: RunContext) -> None:
        if broken:
            raise OSError("no")

    Flow.register("works", works, registry=registry)
    async with running(registry, tmp_path, notice_webhook=chat.url) as app:
        await app.trigger("works")
        await eventually(lambda: told(chat, 1))
        broken.clear()
        await app.trigger("works")
        await eventually(lambda: told(chat, 2))
    states = [(body["state"], body["kind"], body["subject"]) for _, _, body in chat.got]
    assert states == [("begun", "failed", "works"), ("over", "failed", "works")]


async def told(chat: Chat, count: int) -> bool:
    return len(chat.got) >= count
