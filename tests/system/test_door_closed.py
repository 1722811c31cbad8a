"""The door is closed: what is open is named, path by path, and every answer carries the headers."""

import asyncio
import re
from pathlib import Path

import pytest

from piko_flow.ops.door.token_secrets import new_secret
from piko_flow.store.ops_records import Role
from tests.system.doors import PAGE, Served, served

OPEN = ("/livez", "/healthz", "/readyz", "/version", "/login")
TRICKS = (
    "//livez",
    "/livez/",
    "/livez/../rooms/echo",
    "/livez/..;/rooms/echo",
    "/livez%2f..%2frooms/echo",
    "/livez%00",
    "/livez%0a",
    "/livez;x=1",
    "/LIVEZ",
    "/%2e/livez",
    "/static/../rooms/echo",
    "/static/%2e%2e/rooms/echo",
    "/static/000000000000/console.css",
    "/login/../rooms/echo",
    "/login/",
    "/login%2f..%2frooms/echo",
    "/rooms/echo",
    "/rooms/echo?token=x",
    "//rooms/echo",
    "/rooms//echo",
    "/api/v1/nothing",
    "/openapi.json",
    "/docs",
    "/",
    "/%ff",
    "/metrics",
)


async def raw(door: Served, request: str) -> str:
    """The answer to bytes as they are, which no library puts in order before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(request.encode("latin-1"))
    answer = (await asyncio.wait_for(reader.read(), 30)).decode("latin-1")
    writer.close()
    await writer.wait_closed()
    return answer


def request(path: str, *more: str, method: str = "GET", host: str = "127.0.0.1") -> str:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *more, "", ""]
    return "\r\n".join(lines)


def status(answer: str) -> int:
    return int(answer.split(" ", 2)[1])


async def test_what_is_open_is_answered_without_a_token_and_nothing_else_is(tmp_path: Path) -> None:
    async with served(tmp_path) as door:
        for path in OPEN:
            assert status(await raw(door, request(path))) == 200, path
        for path in TRICKS:
            answer = await raw(door, request(path))
            assert status(answer) == 401, (path, answer)
            assert "www-authenticate: bearer" in answer.lower(), path
        good = "Authorization: Bearer " + (await door.issued(Role.VIEWER))[1]
        known = {"/rooms/echo", "/rooms/echo?token=x", "/", "/metrics"}
        for path in TRICKS:  # with a token they lead nowhere, except to the path itself
            answer = await raw(door, request(path, good))
            assert status(answer) == (200 if path in known else 404), (path, answer)


async def test_the_methods_of_what_is_open_are_those_that_read(tmp_path: Path) -> None:
    async with served(tmp_path) as door:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "XYZ"):
            assert status(await raw(door, request("/livez", method=method))) == 401, method


async def test_a_program_is_told_in_a_document_and_a_person_is_led_to_the_page_to_log_in(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as door, door.client() as client:
        told = await client.get("/rooms/echo")
        assert told.status_code == 401
        assert told.headers["content-type"] == "application/problem+json"
        assert "piko-flow token create" in told.json()["advice"]
        page = await client.get("/rooms/echo?a=%2F", headers=PAGE)
        assert (page.status_code, page.headers["location"]) == (
            303,
            "/login?next=%2Frooms%2Fecho%3Fa%3D%252F",
        )
        api = await client.get("/api/v1/flows", headers=PAGE)
        assert api.status_code == 401
        piece = {"hx-request": "true", "hx-current-url": f"{door.address}/flows/a?b=1", **PAGE}
        told = await client.get("/rooms/echo", headers=piece)
        assert (told.status_code, told.headers["hx-redirect"]) == (401, "/login?next=%2Fflows%2Fa%3Fb%3D1")
        changed = await client.post("/rooms/echo", headers=PAGE)
        assert changed.status_code == 401
        assert "A token is needed" in changed.text


async def test_a_wrong_token_opens_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as door:
        _, good = await door.issued(Role.ADMIN)
        for wrong in (
            new_secret(),
            good[:-1],
            good + "x",
            good.upper(),
            good.removeprefix("pf_"),
            "x" * 10_000,
            "\xff",
        ):
            answer = await raw(door, request("/rooms/echo", f"Authorization: Bearer {wrong}"))
            assert status(answer) in (401, 429), wrong
        twice = request("/rooms/echo", f"Authorization: Bearer {good}", "Authorization: Bearer x")
        assert status(await raw(door, twice)) == 400


async def test_metrics_need_a_token_unless_the_settings_open_them(tmp_path: Path) -> None:
    async with served(tmp_path) as closed, closed.client() as client:
        assert (await client.get("/metrics")).status_code == 401
        seen = await client.get("/metrics", headers=await closed.token(Role.VIEWER))
        assert seen.status_code == 200
    async with served(tmp_path, metrics_open=True) as opened, opened.client() as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.post("/metrics")).status_code == 401


async def test_a_server_is_called_by_its_name_or_not_answered(tmp_path: Path) -> None:
    async with served(tmp_path, allowed_hosts=("flows.example.com",)) as door:
        good = "Authorization: Bearer " + (await door.issued(Role.ADMIN))[1]
        for host in ("127.0.0.1", f"localhost:{door.port}", "flows.example.com"):
            assert status(await raw(door, request("/rooms/echo", good, host=host))) == 200, host
        for host in ("evil.example", "127.0.0.1.evil.example", "192.168.7.7", "", "a, b"):
            for path in ("/rooms/echo", "/login", "/version"):
                answer = await raw(door, request(path, good, host=host))
                assert status(answer) in (400, 421), (host, answer)
            assert status(await raw(door, request("/livez", host=host))) in (200, 400)
        two = request("/rooms/echo", good, "Host: evil.example")
        assert status(await raw(door, two)) == 400


async def test_every_answer_has_the_headers_and_does_not_say_what_the_server_is(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client(headers=await door.token(Role.ADMIN)) as client:
        answers = [
            await client.get("/livez"),
            await client.get("/login"),
            await client.get("/rooms/echo"),
            await client.get("/rooms/kept"),
            await client.get("/rooms/nowhere"),
            await client.get("/rooms/broken"),
            await client.get("/rooms/echo", headers={"authorization": "Bearer x"}),
            await client.get("/rooms/echo", headers={"host": "evil.example"}),
        ]
        assert [one.status_code for one in answers] == [200, 200, 200, 200, 404, 500, 401, 421]
        for answer in answers:
            found = answer.headers
            assert "default-src 'self'" in found["content-security-policy"], answer
            assert "frame-ancestors 'none'" in found["content-security-policy"]
            assert "unsafe" not in found["content-security-policy"]
            assert found["x-content-type-options"] == "nosniff"
            assert found["referrer-policy"] == "same-origin"
            assert (
                found["cross-origin-opener-policy"] == found["cross-origin-resource-policy"] == "same-origin"
            )
            assert "camera=()" in found["permissions-policy"]
            assert "server" not in found
            assert "strict-transport-security" not in found
        kept = [one.headers["cache-control"] for one in answers]
        assert kept == ["no-store"] * 3 + ["public, max-age=60"] + ["no-store"] * 4
        assert "secret" not in answers[5].text


async def test_the_page_to_log_in_at_loads_what_it_needs_without_a_token(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client(headers=PAGE) as client:
        page = (await client.get("/login")).text
        needed = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
        for path in needed:
            assert (await client.get(path)).status_code == 200, path
        assert needed
        assert "style=" not in page
        assert "<script>" not in page
        assert "onclick" not in page


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
async def test_nothing_is_spoken_over_web_sockets(tmp_path: Path, upgrade: str) -> None:
    async with served(tmp_path) as door:
        more = (
            f"Upgrade: {upgrade}",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )
        text = request("/rooms/echo", *more).replace("Connection: close\r\n", "")
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(text.encode())
        answer = (await asyncio.wait_for(reader.readuntil(b"\r\n"), 30)).decode()
        writer.close()
        await writer.wait_closed()
        assert status(answer) in (400, 401, 403, 426)
