"""What the console answers besides pages that work: errors without insides, files that may be kept, safe redirects."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from fastapi import FastAPI, Request, Response

import piko_flow.ops.console
from piko_flow import Flow
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.errors import NotFound, NotRunning, RequestConflicts, RequestRefused, StoreUnavailable
from piko_flow.ops.console.assets import address_of, assets
from piko_flow.ops.console.pages import console_router
from piko_flow.ops.console.refusals import page_about
from piko_flow.ops.console.sentences import coded, sentence
from piko_flow.ops.visitor import Visitor
from piko_flow.store.ops_records import LogLine, Role, RunDetail
from tests.unit.planes import NOW, do_nothing, scene

T = TypeVar("T")
TEMPLATES = sorted((Path(piko_flow.ops.console.__file__).parent / "templates").glob("*.html"))
BACKSLASH = "\\"


class Answering:
    """A process whose control plane answers, or raises an error instead."""

    name, version, replica_id = "test", "1", "one"

    def __init__(self, error: Exception | None = None) -> None:
        self._plane, self._error = scene().plane, error
        self.registry = self._plane.registry

    async def ask(self, work: Callable[[ControlPlane], Awaitable[T]]) -> T:
        if self._error is not None:
            raise self._error
        return await work(self._plane)


@asynccontextmanager
async def client(error: Exception | None = None, *, process: Any = None) -> AsyncIterator[httpx.AsyncClient]:
    process = process or Answering(error)
    api = FastAPI(redirect_slashes=False)

    @api.middleware("http")
    async def let_in(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        request.state.visitor = Visitor("me", Role.ADMIN, "console", 1, csrf="<proof>")
        return await go_on(request)

    api.include_router(console_router(process))
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as found:
        yield found


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (StoreUnavailable(what="read", reason="it is away"), 503, "The database does not answer"),
        (NotRunning(name="shop"), 503, "It is starting"),
        (NotRunning(name="shop", state="has stopped", advice="Start it"), 503, "It does not run"),
        (NotFound(what="show", rule="it is there", got="it is not"), 404, "There is nothing here"),
        (RequestConflicts(what="do", rule="as seen", got="not as seen"), 409, "It has changed meanwhile"),
        (RequestRefused(what="do", rule="a <rule>", got="got", advice="do that"), 422, "could not be done"),
        (RuntimeError("a secret inside"), 500, "Something broke"),
    ],
)
async def test_an_error_is_a_page_that_says_what_to_do(
    error: Exception, status: int, title: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(error) as browser:
        for headers in ({}, {"HX-Request": "true"}):
            answer = await browser.get("/runs/1", headers=headers)
            assert answer.status_code == status
            assert title in answer.text
            assert "a secret inside" not in answer.text
            assert ("<html" in answer.text) is (not headers)
            assert "<rule>" not in answer.text
            assert ("retry-after" in answer.headers) is (status == 503)
    told = {
        (one.levelname, one.exc_info is not None) for one in caplog.records if "/runs/1" in one.getMessage()
    }
    assert told == {500: {("ERROR", True)}, 503: {("WARNING", False)}}.get(status, set())


async def test_every_page_opens_over_an_empty_store() -> None:
    async with client() as browser:
        for path in (
            "/",
            "/flows/orders",
            "/flows/mail",
            "/flows/idle",
            "/runs",
            "/backfills",
            "/dead-letters",
        ):
            answer = await browser.get(path)
            assert answer.status_code == 200, (path, answer.text)
        for path in (
            "/replicas",
            "/audit",
            "/parts/overview",
            "/parts/flows/orders",
            "/parts/flows/orders/why",
        ):
            answer = await browser.get(path)
            assert answer.status_code == 200, (path, answer.text)


async def test_many_flows_are_shown_in_pages_and_found_by_name() -> None:
    process: Any = Answering()
    for number in range(60):
        Flow.register(f"many_{number:02d}", do_nothing, registry=process.registry)
    async with client(process=process) as browser:
        first, second = await browser.get("/?q=many"), await browser.get("/?q=many&page=2")
        assert "many_49" in first.text
        assert "many_50" not in first.text
        assert "many_50" in second.text
        assert "Page 2 of 2" in second.text
        for odd in ("0", "-1", "1e3", "9" * 30, "two", "999999"):
            assert (await browser.get(f"/?page={odd}")).status_code == 200


async def test_the_log_of_a_run_is_shown_in_pages() -> None:
    process: Any = Answering()
    async with client(process=process) as browser:
        run = await process.ask(lambda plane: plane.trigger("mail"))
        lines = tuple(LogLine(NOW, "INFO", "mail", f"line {number}.") for number in range(1200))
        await process.ask(lambda plane: plane.store.keep_details([RunDetail(run.id, lines=lines)]))
        page = (await browser.get(f"/runs/{run.id}")).text
        assert "line 1199." in page
        assert "line 700." in page
        assert "line 699." not in page
        seen = page
        for first in (200, 0):
            [older] = re.findall(rf'href="(/runs/{run.id}[?]before=\d+)#log"', seen)
            seen = (await browser.get(older)).text
            assert f"line {first}." in seen
            assert f"line {first + 499}." in seen or first == 0
        assert "line 199." in seen
        assert "line 200." not in seen
        assert "Older lines" not in seen


async def test_a_page_that_shows_the_end_of_a_log_asks_for_what_has_come_since() -> None:
    process: Any = Answering()
    async with client(process=process) as browser:
        run = await process.ask(lambda plane: plane.trigger("mail"))
        lines = tuple(LogLine(NOW, "INFO", "mail", f"line {number}.") for number in range(1200))
        await process.ask(lambda plane: plane.store.keep_details([RunDetail(run.id, lines=lines)]))
        told = (await browser.get(f"/parts/runs/{run.id}?after=1198")).text
        assert re.findall(r"line \d+[.]", told) == ["line 1198.", "line 1199."]
        assert 'id="log-count" hx-swap-oob="true">1,200 lines' in told
        assert 'id="run-rest"' in told
        assert "line 1199." not in (await browser.get(f"/parts/runs/{run.id}")).text
        many = (await browser.get(f"/parts/runs/{run.id}?after=0")).text
        assert re.findall(r"line \d+[.]", many)[-1] == "line 499."
        assert 'id="log-count" hx-swap-oob="true">1,200 lines' in many


async def test_files_are_addressed_by_their_content_and_may_be_kept() -> None:
    async with client() as browser:
        for name in assets():
            answer = await browser.get(address_of(name))
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
        for path in ("/static/000000000000/console.css", "/static/x/../console.css", "/static/x/nothing.js"):
            assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("back", "to"),
    [
        ("/runs?status=FAILED", "/runs?status=FAILED"),
        ("//elsewhere.example/", "/"),
        (f"/{BACKSLASH}elsewhere.example", "/"),
        ("https://elsewhere.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/runs\r\nSet-Cookie: a=b", "/"),
        ("", "/"),
    ],
)
async def test_choosing_colours_leads_back_to_this_application_only(back: str, to: str) -> None:
    async with client() as browser:
        answer = await browser.post("/console/theme", data={"theme": "dark", "back": back})
        assert (answer.status_code, answer.headers["location"]) == (303, to)
        assert 'data-theme="dark"' in (await browser.get("/")).text
        await browser.post("/console/theme", data={"theme": '"><script>', "back": "/"})
        assert "data-theme" not in (await browser.get("/")).text


def a_message(words: bytes, *, proof: str = "<proof>") -> str:
    """What a cookie holds in which a session that proves itself so has left the words."""
    signature = hmac.new(proof.encode(), b"a message: " + words, hashlib.sha256).hexdigest()
    return f"{urlsafe_b64encode(words).decode()}.{signature}"


@pytest.mark.parametrize(
    "cookie",
    [
        "no base 64",
        "e30=",
        urlsafe_b64encode(b"success:unsigned").decode(),
        a_message(b"success:of another session", proof="<another>"),
        a_message(b"success:of nobody", proof=""),
        a_message(b"success:one").split(".")[0] + "." + a_message(b"success:two").split(".")[1],
        a_message(b"blink:text"),
        a_message(bytes([0xFF, 0xFE])),
    ],
)
async def test_a_message_that_was_not_written_for_this_session_is_not_shown(cookie: str) -> None:
    async with client() as browser:
        browser.cookies.set("piko_told_80", cookie, domain="console.local")
        assert 'class="notice flash' not in (await browser.get("/backfills")).text


async def test_a_message_is_shown_once_and_as_text() -> None:
    async with client() as browser:
        browser.cookies.set("piko_told_80", a_message(b"success:<b>done</b>"), domain="console.local")
        first = await browser.get("/backfills")
        assert "&lt;b&gt;done&lt;/b&gt;" in first.text
        assert 'piko_told_80=""' in first.headers["set-cookie"]


async def test_a_message_that_not_all_went_well_is_shown_until_it_is_closed() -> None:
    async with client() as browser:
        browser.cookies.set("piko_told_80", a_message(b"gap:not all of them"), domain="console.local")
        for path in ("/backfills", "/runs"):
            shown = await browser.get(path)
            assert "not all of them" in shown.text
            assert "set-cookie" not in shown.headers
        for back, to in (("/runs", "/runs"), ("//elsewhere.example/", "/")):
            closed = await browser.post("/console/message/close", data={"back": back})
            assert (closed.status_code, closed.headers["location"]) == (303, to)
            assert 'piko_told_80=""' in closed.headers["set-cookie"]


async def test_a_message_of_another_application_of_this_host_is_left_alone() -> None:
    async with client() as browser:
        browser.cookies.set("piko_told_8080", a_message(b"success:elsewhere"), domain="console.local")
        answer = await browser.get("/backfills")
        assert 'class="notice flash' not in answer.text
        assert "set-cookie" not in answer.headers


async def test_a_shared_part_has_each_visitors_own_proof() -> None:
    async with client() as browser:
        for _ in range(2):
            part = (await browser.get("/parts/flows/orders")).text
            assert 'name="csrf_token" value="&lt;proof&gt;"' in part


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_a_style_or_a_script_of_its_own(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"<[a-z][^>{]*\s(?:style|on[a-z]+)=|<style|javascript:", text) == []
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert "|safe" not in text


async def test_a_page_of_a_flow_of_any_name_is_the_one_that_its_forms_lead_back_to() -> None:
    process: Any = Answering()
    Flow.register("ein Fluß <b>", do_nothing, registry=process.registry)
    place = "/flows/ein%20Flu%C3%9F%20%3Cb%3E"
    async with client(process=process) as browser:
        page = await browser.get(f"{place}?scale=days")
        assert page.status_code == 200
        assert f'name="back" value="{place}?scale=days"' in page.text
        for form in ("/console/theme", "/console/message/close"):
            answer = await browser.post(form, data={"back": f"{place}?scale=days", "theme": "dark"})
            assert (answer.status_code, answer.headers["location"]) == (303, f"{place}?scale=days")


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/runs/7/retry", "/runs/7"),
        ("/flows/a b/params", "/flows/a%20b"),
        ("/backfills/3/pause", "/backfills/3"),
        ("/dead-letters/2/drop", "/dead-letters/2"),
        ("/dead-letters/group/drop", "/dead-letters"),
        ("/replicas/resign", "/replicas"),
    ],
)
def test_a_change_that_came_too_late_leads_to_the_page_it_is_about(address: str, page: str) -> None:
    assert page_about(address) == page


def test_code_in_a_message_is_shown_as_code_and_the_rest_of_it_is_escaped() -> None:
    assert coded("do `a & b`, or <c>") == "do <code>a &amp; b</code>, or &lt;c&gt;"
    assert coded(sentence("<b> `c`")) == "&lt;b&gt; <code>c</code>"
