"""What changes something: in a browser only from our own page, and never for a viewer."""

from pathlib import Path

import pytest

from piko_flow.store.ops_records import Role
from tests.system.doors import csrf, served

CHANGES = ("POST", "PUT", "PATCH", "DELETE")


async def test_a_change_with_a_session_carries_what_only_its_pages_know(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.browser() as browser, door.browser() as other:
        field, foreign = await csrf(browser), await csrf(other)
        assert field != foreign
        assert (await browser.post("/rooms/echo", data=field)).status_code == 200
        assert (
            await browser.post("/rooms/echo", headers={"x-csrf-token": field["csrf_token"]})
        ).status_code == 200
        refused = [
            await browser.post("/rooms/echo"),
            await browser.post("/rooms/echo", data=foreign),
            await browser.post("/rooms/echo", data={"csrf_token": ""}),
            await browser.post("/rooms/echo", params=field),
            await browser.post("/rooms/echo", json=field),
            await browser.post("/rooms/echo", data=field, headers={"x-csrf-token": "wrong"}),
            await browser.post("/rooms/echo", content=b"&".join([b"a=1"] * 101)),
            *[await browser.request(method, "/rooms/echo") for method in CHANGES],
        ]
        assert {one.status_code for one in refused} == {403}
        assert "Load the page again" in refused[0].text


async def test_a_program_with_a_token_needs_nothing_else(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client(headers=await door.token(Role.OPERATOR)) as client:
        for method in CHANGES:
            answer = await client.request(method, "/rooms/echo", content=b"12345")
            assert (answer.status_code, answer.json()["got"]) == (200, 5)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_page_of_another_site_changes_nothing_even_if_it_knew_all_secrets(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with served(tmp_path) as door, door.browser() as browser, door.client() as program:
        field, token = await csrf(browser), await door.token(Role.ADMIN)
        assert (await browser.post("/rooms/echo", data=field, headers=headers)).status_code == 403
        assert (await program.post("/rooms/echo", headers=token | headers)).status_code == 403
        assert (await browser.get("/rooms/echo", headers=headers)).status_code == 200


async def test_a_viewer_changes_nothing_by_a_route_that_asks_for_no_role(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.browser(Role.VIEWER) as browser, door.client() as program:
        field, token = await csrf(browser), await door.token(Role.VIEWER)
        for method in CHANGES:
            told = await program.request(method, "/rooms/echo", headers=token)
            assert told.status_code == 403
            assert told.json()["rule"] == "a change needs the role operator"
            header = {"x-csrf-token": field["csrf_token"]}
            assert (await browser.request(method, "/rooms/echo", headers=header)).status_code == 403
        sneaky = {"x-http-method-override": "DELETE"}
        assert (await program.get("/rooms/echo", headers=token | sneaky)).status_code == 200
        assert (await program.get("/rooms/echo", headers=token)).json()["role"] == "viewer"


async def test_a_visitor_is_who_the_door_says_and_not_who_the_request_says(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client() as client:
        token = await door.token(Role.VIEWER, "watcher")
        claims = {"x-user": "admin", "x-role": "admin", "x-forwarded-user": "admin"}
        found = (await client.get("/rooms/echo?role=admin", headers=token | claims)).json()
        assert (found["name"], found["role"], found["via"]) == ("watcher", "viewer", "api")
