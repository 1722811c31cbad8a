"""Every address and every field of the console takes anything at all without breaking, and shows it as text alone."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from piko_flow.store.ops_records import Role
from tests.system.doors import Served, served
from tests.system.pages_read import Form, forms_in
from tests.system.test_api_schema import filled, flows
from tests.system.test_door_routes import Knock, knocks, routes

SCRIPT, PICTURE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
NASTY = (
    "",
    "a\0b",
    "\ud800",
    "9" * 26,
    str(2**63),
    str(2**63 - 1),
    "-1",
    "1e999",
    "NaN",
    "\u0661\u0662",
    SCRIPT,
    PICTURE,
    "../../../etc/passwd",
    "'; DROP TABLE job_run; --",
    '{"limit": ',
    '{"region": {"a": [null]}}',
    "[" * 10_000,
    "9999-12-31T23:59:59.999999-14:00",
    "0001-01-01 00:00",
    "{{ 7 * 7 }}",
    "x\r\nSet-Cookie: planted=1",
    "\u202etxt.exe",
    "o" * 5_000,
)
SHARES = {Role.OPERATOR: 3, Role.VIEWER: 12}  # a viewer reads the same pages, and may send nothing
PAGES = ("/", "/flows/sync_orders", "/flows/send_mail", "/runs", "/runs/1", "/backfills", "/dead-letters")
MORE = ("/dead-letters/1", "/dead-letters/group?flow=sync_orders&group=0000abcd", "/replicas")
FORM = {"content-type": "application/x-www-form-urlencoded"}


def said(text: str) -> str:
    """As a browser that knows no rules would write it into an address."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def pages_of(door: Served) -> list[Knock]:
    """The routes of the console."""
    other = ("/api/", "/rooms/", "/log")
    return [knock for knock in knocks(door.api) if knock.method in ("GET", "POST") if _pages(knock, other)]


def _pages(knock: Knock, other: tuple[str, ...]) -> bool:
    probes = {"/livez", "/healthz", "/readyz", "/version", "/metrics", "/api"}
    return not knock.route.startswith((*other, "/static")) and knock.route not in probes


def names_of(door: Served) -> dict[str, set[str]]:
    """By route the names that the file which answers it reads of an address or a form."""
    found = {}
    for route, path in routes(door.api.routes):
        module = inspect.getmodule(getattr(route, "endpoint", None))
        source = inspect.getsource(module) if module is not None else ""
        found[path] = set(re.findall(r'\.get\("([a-z_]+)"', source))
    return found


def shares(role: Role) -> Iterator[Sequence[str]]:
    """For each place in turn its share of what is nasty, HTML always: all of it in turn over neighbouring places."""
    many = SHARES[role]
    for turn in itertools.count():
        yield (SCRIPT, *NASTY[turn % many :: many])


def addresses(door: Served, role: Role) -> Iterator[tuple[str, str]]:
    """Methods and addresses with something nasty in one place."""
    values = shares(role)
    names = names_of(door)
    assert {"flow", "status", "before"} <= names["/runs"]
    for knock in pages_of(door):
        for place in re.findall(r"{[^}]*}", knock.route):
            for value in next(values):
                path = knock.route.replace(place, said(value) or "%20")
                yield knock.method, re.sub(r"{[^}]*}", "1", path)
        if not knock.changes:
            path = knock.route.replace("{name}", "sync_orders").replace("{number}", "1")
            yield from (
                (knock.method, f"{path}?{name}={said(value)}")
                for name in sorted(names[knock.route])
                for value in next(values)
            )


async def forms_of(browser: httpx.AsyncClient) -> list[Form]:
    """All forms of all pages; those that take something away come last."""
    found: dict[tuple[str, tuple[str, ...]], Form] = {}
    for path in (*PAGES, *MORE):
        answer = await browser.get(path)
        assert answer.status_code == 200, (path, answer.text)
        for form in forms_in(answer.text):
            found.setdefault((form.action, tuple(form.fields)), form)
    seen = {"csrf_token": "", "seen_status": "SUCCESS", "seen_attempt": "1"}
    over = [
        Form(f"/runs/1/{verb}", seen) for verb in ("retry", "cancel")
    ]  # which no page offers of a run that is done
    return sorted(
        [*found.values(), *over],
        key=lambda form: form.action.endswith(("delete", "drop", "cancel", "pause-all")),
    )


def body(fields: dict[str, str]) -> str:
    return "&".join(f"{said(name)}={said(value)}" for name, value in fields.items())


def wrong_with(answer: httpx.Response) -> str:
    """What is wrong with an answer, whatever was asked; empty where nothing is."""
    told = f"{answer.request.method} {answer.request.url!s:.150} {answer.request.content[:150]!r}"
    if answer.status_code >= 500:
        return f"{answer.status_code}: {told}"
    if (
        "planted" in answer.headers.get("set-cookie", "")
        or SCRIPT in answer.text
        or "<img src=x" in answer.text
    ):
        return f"not escaped: {told}"
    return ""


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_nothing_in_an_address_breaks_a_page(tmp_path: Path, role: Role) -> None:
    async with (
        served(tmp_path, registry=flows(), request_rate=100_000) as door,
        door.browser(role) as browser,
    ):
        await filled(door)
        token = {"csrf_token": forms_in((await browser.get("/")).text)[0].fields["csrf_token"]}
        wrong: list[str] = []
        statuses: set[int] = set()
        for turn, (method, address) in enumerate(addresses(door, role)):
            part = {"hx-request": "true"} if turn % 2 else {}
            content = body(token) if method == "POST" else ""
            answer = await browser.request(method, address, content=content, headers={**FORM, **part})
            statuses.add(answer.status_code)
            wrong += filter(None, [wrong_with(answer)])
        assert wrong == []
        assert statuses >= {200, 404, 303 if role is Role.OPERATOR else 403}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_nothing_in_a_field_breaks_a_page_or_what_is_shown_of_it_later(
    tmp_path: Path, role: Role
) -> None:
    async with (
        served(tmp_path, registry=flows(), request_rate=100_000) as door,
        door.browser(role) as browser,
        door.browser(Role.OPERATOR) as operator,
    ):
        await filled(door)
        forms = await forms_of(operator)
        known = {form.action for form in forms}
        assert {"/flows/sync_orders/schedule", "/flows/sync_orders/backfill/plan"} <= known
        own = forms_in((await browser.get("/")).text)[0].fields["csrf_token"]
        wrong: list[str] = []
        statuses: set[int] = set()
        values = shares(role)
        for form in forms:
            for name in form.fields:
                for turn, value in enumerate(next(values)):
                    fields = {**form.fields, "csrf_token": own, name: value}
                    part = {"hx-request": "true"} if turn % 2 else {}
                    answer = await browser.post(form.action, content=body(fields), headers={**FORM, **part})
                    statuses.add(answer.status_code)
                    wrong += filter(None, [wrong_with(answer)])
        for path in (*PAGES, *MORE, "/parts/overview", "/parts/flows/sync_orders"):
            wrong += filter(None, [wrong_with(await browser.get(path))])
        assert wrong == []
        assert statuses >= ({303, 422} if role is Role.OPERATOR else {403})
