"""A proxy before the server: it is believed where the settings name it, and nobody else is."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from piko_flow.ops.door.token_secrets import new_secret
from piko_flow.store.ops_records import Role
from tests.system.doors import PAGE, served

HOST = "flows.example.com"
BEHIND = {"host": HOST, "x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7"}
TRUSTED: dict[str, Any] = {"forwarded_allow_ips": ("127.0.0.0/8",), "allowed_hosts": (HOST,)}


async def test_behind_https_the_session_is_for_this_host_alone_and_stays_on_https(tmp_path: Path) -> None:
    async with served(tmp_path, **TRUSTED) as door, door.client(headers={**PAGE, **BEHIND}) as browser:
        answer = await browser.get(await door.link())
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-piko_flow_443=pf_")
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict; Secure")
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        name, secret = cookie.partition(";")[0].split("=")
        inside = await browser.get("/rooms/csrf", headers={"cookie": f"{name}={secret}"})
        assert inside.status_code == 200
        change = {"cookie": f"{name}={secret}", "x-csrf-token": inside.json(), "origin": f"https://{HOST}"}
        assert (await browser.post("/rooms/echo", headers=change)).status_code == 200
        plain = {"cookie": f"piko_flow_443={secret}"}
        assert (await browser.get("/rooms/echo", headers=plain)).status_code == 303


@pytest.mark.parametrize("named", [(), ("10.0.0.5", "10.1.0.0/16")])
async def test_a_proxy_that_the_settings_do_not_name_is_not_believed(
    tmp_path: Path, named: tuple[str, ...]
) -> None:
    settings: dict[str, Any] = {"allowed_hosts": (HOST,), "forwarded_allow_ips": named}
    async with served(tmp_path, **settings) as door, door.client(headers=PAGE) as browser:
        answer = await browser.get(await door.link(), headers=BEHIND)
        assert answer.headers["set-cookie"].startswith("piko_flow_80=pf_")
        assert "strict-transport-security" not in answer.headers
        wrong = [await _wrong(browser, f"198.51.100.{number}") for number in range(12)]
        assert wrong[-1] == 429  # all of them are one address


async def test_behind_a_proxy_each_address_has_its_own_patience(tmp_path: Path) -> None:
    async with served(tmp_path, **TRUSTED) as door, door.client() as client:
        assert [await _wrong(client, "198.51.100.1") for _ in range(12)][-1] == 429
        assert await _wrong(client, "198.51.100.2") == 401
        assert [await _wrong(client, f"2001:db8::{number}") for number in range(1, 13)][-1] == 429
        assert await _wrong(client, "2001:db8:0:1::1") == 401
        good = await door.token(Role.VIEWER)
        good["x-forwarded-for"] = "198.51.100.3"
        assert (await client.get("/rooms/echo", headers=good)).status_code == 200


async def _wrong(client: httpx.AsyncClient, address: str) -> int:
    headers = {"authorization": f"Bearer {new_secret()}", "x-forwarded-for": address, "accept": "*/*"}
    return (await client.get("/rooms/echo", headers=headers)).status_code
